#include "app/shown_queries.h"

#include "app/governance_parts.h"
#include "app/key_secret.h"

namespace belay::app {
namespace {

class ShownQueries final : public ledger::Queries {
  public:
    explicit ShownQueries(std::unique_ptr<ledger::Queries> inner) : inner_(std::move(inner)) {}

    Result<void> open(const Config& config, const std::string& data_dir) {
        const auto store = TRY(open_entities(config, data_dir));
        const Secret& own = config.general.master_key;
        seal_ = TRY(open_seal(config, own.empty() ? Secret("sk-1234") : own));
        TRY(governance::read_changes(*store, directory_));
        directory_.set_key_secret(TRY(load_key_secret(*store, directory_, *seal_, data_dir)));
        return {};
    }

    Result<ledger::LogPage> find_page(const ledger::LogFilter& filter) override {
        auto page = TRY(inner_->find_page(stored(filter)));
        for (ledger::Entry& entry : page.entries) {
            show(entry.record.key_fingerprint);
        }
        return page;
    }
    Result<std::vector<ledger::DaySum>> day_sums(const ledger::DayFilter& filter) override {
        ledger::DayFilter by_id = filter;
        for (std::string& key : by_id.keys) {
            key = directory_.id_of(key);
        }
        auto sums = TRY(inner_->day_sums(by_id));
        for (ledger::DaySum& sum : sums) {
            show(sum.key);
        }
        return sums;
    }
    Result<std::vector<ledger::ScopeSum>> scope_sums() override {
        auto sums = TRY(inner_->scope_sums());
        for (ledger::ScopeSum& sum : sums) {
            if (sum.kind == ledger::ScopeSum::Kind::key) {
                show(sum.id);
            }
        }
        return sums;
    }
    Result<std::vector<TagSum>> tag_sums(const std::string& from,
                                         const std::string& until) override {
        return inner_->tag_sums(from, until);
    }
    Result<uint64_t> drop_before(int64_t ms) override { return inner_->drop_before(ms); }
    Result<void> for_each(const ledger::LogFilter& filter,
                          const std::function<bool(const ledger::Entry&)>& take) override {
        return inner_->for_each(stored(filter), [&](const ledger::Entry& entry) {
            ledger::Entry shown = entry;
            show(shown.record.key_fingerprint);
            return take(shown);
        });
    }

  private:
    [[nodiscard]] ledger::LogFilter stored(ledger::LogFilter filter) const {
        if (!filter.key.empty()) {
            filter.key = directory_.id_of(filter.key);
        }
        return filter;
    }
    void show(std::string& id) {
        if (id.empty()) {
            return;
        }
        const auto known = tokens_.find(id);
        if (known != tokens_.end()) {
            id = known->second;
            return;
        }
        auto key = directory_.find(governance::EntityKind::key, id);
        key = key ? key : directory_.find(governance::EntityKind::deleted_key, id);
        const std::string_view sealed = key ? key->doc["sealed_token"].as_string() : "";
        auto token = sealed.empty() ? Result<Secret>(gateway_error(Kind::not_found, "plain"))
                                    : seal_->open(sealed, "key/" + id);
        const std::string shown = token.ok() ? token->reveal() : id;
        tokens_.emplace(id, shown);
        id = shown;
    }

    std::unique_ptr<ledger::Queries> inner_;
    governance::Directory directory_;
    std::unique_ptr<Seal> seal_;
    std::map<std::string, std::string> tokens_;
};

}  // namespace

std::unique_ptr<ledger::Queries> show_keys(std::unique_ptr<ledger::Queries> inner,
                                           const Config& config, const std::string& data_dir) {
    auto shown = std::make_unique<ShownQueries>(std::move(inner));
    (void)shown->open(config, data_dir);
    return shown;
}

}  // namespace belay::app
