#include "admin/families.h"
namespace belay::admin {
std::span<const Route> login_routes() { return {}; }
std::span<const Route> invitation_routes() { return {}; }
std::span<const Route> audit_routes() { return {}; }
}  // namespace belay::admin
