#include "observe/poster.h"

#include <future>

namespace belay::observe {
namespace {

constexpr size_t kReplyMost = 64 << 10;

struct Posted {
    net::FetchRequest request;
    std::promise<Result<int>> done;
};

net::Task<void> run(net::Fetcher& fetcher, std::shared_ptr<Posted> posted) {
    auto reply = co_await fetcher.fetch(std::move(posted->request));
    if (reply.ok()) {
        posted->done.set_value(reply->status);
    } else {
        posted->done.set_value(reply.error());
    }
}

}  // namespace

Poster::Poster(std::shared_ptr<net::ClientContext> context)
    : client_(std::make_unique<net::HttpClient>(loops_[0], std::move(context))),
      fetcher_(std::make_unique<net::ClientFetcher>(*client_)) {
    loops_.start();
}

Poster::~Poster() {
    loops_.run_on(0, [this] {
        fetcher_.reset();
        client_.reset();
    });
    loops_.stop();
    loops_.join();
}

Result<int> Poster::post(const std::string& url, Headers headers, std::string body) {
    auto posted = std::make_shared<Posted>();
    posted->request.method = "POST";
    posted->request.url = url;
    posted->request.headers = std::move(headers);
    posted->request.body = std::move(body);
    posted->request.timeout = kPatience;
    posted->request.body_max = kReplyMost;
    auto done = posted->done.get_future();
    loops_[0].post([this, posted] { loops_[0].spawn(run(*fetcher_, posted)); });
    return done.get();
}

}  // namespace belay::observe
