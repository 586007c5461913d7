#include "providers/urls.h"

namespace belay::providers {

Result<std::shared_ptr<const Url>> Urls::parse(std::string_view text) {
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [known, url] : known_) {
            if (known == text) {
                return url;
            }
        }
    }
    auto url = std::make_shared<const Url>(TRY(parse_url(text)));
    const std::lock_guard lock(mutex_);
    if (known_.size() >= kMax) {
        known_.erase(known_.begin());
    }
    known_.emplace_back(text, url);
    return std::shared_ptr<const Url>(std::move(url));
}

}  // namespace belay::providers
