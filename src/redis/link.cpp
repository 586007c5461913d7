#include "redis/link.h"

#include <utility>

#include "net/dial.h"

namespace belay::redis {
namespace {

constexpr milliseconds kSendPatience{1'000};

std::string command(const std::vector<std::string_view>& words) {
    std::string out;
    write_command(out, words);
    return out;
}

std::string field_of(std::string_view info, std::string_view name) {
    const size_t at = info.find(name);
    if (at == std::string_view::npos) {
        return {};
    }
    info.remove_prefix(at + name.size());
    return std::string(info.substr(0, info.find_first_of("\r\n")));
}

}  // namespace

Link::Link(net::Loop& loop, std::shared_ptr<net::ClientContext> context, Address address)
    : loop_(loop), context_(std::move(context)), address_(std::move(address)) {}

Link::~Link() = default;

void Link::close() {
    if (conn_ != nullptr) {
        conn_->close();
    }
    unsent_.clear();
}

net::Task<Result<void>> Link::open(Mono deadline) {
    close();
    const net::DialLimits limits;
    auto dialled = co_await net::dial(loop_, context_->resolver(), address_.host, address_.port,
                                      limits, deadline);
    if (!dialled) {
        co_return std::move(dialled).error();
    }
    conn_ = std::move(*dialled);
    parser_ = std::make_unique<Parser>();
    if (address_.tls) {
        ssl_ctx_st* tls = context_->tls();
        if (tls == nullptr) {
            co_return gateway_error(Kind::upstream_unavailable,
                                    "no trusted certificates were found on this machine");
        }
        auto secured = co_await conn_->start_tls(tls, address_.host, nullptr, deadline);
        if (!secured) {
            close();
            co_return std::move(secured).error();
        }
    }
    auto signed_in = co_await sign_in(deadline);
    if (!signed_in) {
        close();
    }
    co_return signed_in;
}

net::Task<Result<Reply>> Link::ask(std::string command, Mono deadline) {
    if (!write(command)) {
        co_return upstream_error(Kind::upstream_unavailable, "Redis closed the connection");
    }
    auto reply = co_await read(deadline);
    co_return reply;
}

net::Task<Result<void>> Link::sign_in(Mono deadline) {
    const std::string& password = address_.password.reveal();
    if (!password.empty()) {
        std::string auth = address_.username.empty()
                               ? command({"AUTH", password})
                               : command({"AUTH", address_.username, password});
        auto reply = co_await ask(std::move(auth), deadline);
        if (!reply) {
            co_return std::move(reply).error();
        }
        if (reply->is_error()) {
            co_return upstream_error(Kind::unauthenticated,
                                     "Redis refused the password: check "
                                     "redis_password and the user");
        }
    }
    if (address_.db != 0) {
        std::string select = command({"SELECT", std::to_string(address_.db)});
        auto reply = co_await ask(std::move(select), deadline);
        if (!reply) {
            co_return std::move(reply).error();
        }
        if (reply->is_error()) {
            co_return upstream_error(Kind::upstream_rejected,
                                     "Redis has no database " + std::to_string(address_.db));
        }
    }
    std::string info = command({"INFO", "server"});
    auto reply = co_await ask(std::move(info), deadline);
    if (!reply) {
        co_return std::move(reply).error();
    }
    if (reply->is_error() && reply->text.starts_with("NOAUTH")) {
        co_return upstream_error(Kind::unauthenticated,
                                 "Redis wants a password: set redis_password");
    }
    // Where INFO is forbidden, a restart is told from the counters that are gone.
    run_id_ = reply->is_error() ? std::string() : field_of(reply->text, "run_id:");
    co_return Result<void>();
}

net::Task<Result<Reply>> Link::read(Mono deadline) {
    while (is_open()) {
        auto reply = parser_->next();
        if (!reply) {
            close();
            co_return std::move(reply).error();
        }
        if (reply->has_value()) {
            co_return std::move(**reply);
        }
        const ssize_t size = conn_->try_read(loop_.scratch(), net::Loop::kScratch);
        if (size == net::Conn::kBlocked) {
            const net::Wake wake = co_await conn_->readable(deadline);
            if (wake == net::Wake::timeout) {
                co_return upstream_error(Kind::timeout, "Redis did not answer in time");
            }
            continue;
        }
        if (size <= 0 ||
            !parser_->feed(std::string_view(loop_.scratch(), static_cast<size_t>(size)))) {
            break;
        }
    }
    close();
    co_return upstream_error(Kind::upstream_unavailable, "Redis closed the connection");
}

bool Link::write(std::string_view bytes) {
    if (!is_open()) {
        return false;
    }
    if (!unsent_.empty() || sending_) {
        if (unsent_.size() + bytes.size() > kMostUnsent) {
            return false;
        }
        unsent_.append(bytes);
        return true;
    }
    const ssize_t sent = conn_->try_write(bytes);
    if (sent == net::Conn::kFailed) {
        close();
        return false;
    }
    bytes.remove_prefix(sent > 0 ? static_cast<size_t>(sent) : 0);
    if (!bytes.empty()) {
        unsent_.assign(bytes);
        loop_.spawn(send_rest());
    }
    return true;
}

net::Task<void> Link::send_rest() {
    sending_ = true;
    while (is_open() && !unsent_.empty()) {
        const std::string now = std::exchange(unsent_, {});
        const Mono deadline = loop_.now() + kSendPatience;
        const net::Wake wake = co_await conn_->write_all(now, deadline);
        if (wake != net::Wake::ready) {
            close();
        }
    }
    sending_ = false;
}

}  // namespace belay::redis
