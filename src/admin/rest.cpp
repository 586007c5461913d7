#include "admin/families.h"
namespace belay::admin {
std::span<const Route> access_group_routes() { return {}; }
std::span<const Route> global_spend_routes() { return {}; }
std::span<const Route> config_routes() { return {}; }
std::span<const Route> fallback_routes() { return {}; }
std::span<const Route> health_routes() { return {}; }
std::span<const Route> login_routes() { return {}; }
std::span<const Route> invitation_routes() { return {}; }
std::span<const Route> audit_routes() { return {}; }
}  // namespace belay::admin
