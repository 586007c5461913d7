#pragma once
// The sign-in page on the HTTP server: takes the request's facts out, writes the reply. For any
// listener; paths that the page does not serve are 404 here, so put it behind SigninPage::serves().
#include "admin/signin.h"
#include "net/http_server.h"

namespace belay::admin {

[[nodiscard]] SigninRequest read_signin_request(const net::HttpRequest& request);

class SigninHandler final : public net::HttpHandler {
  public:
    explicit SigninHandler(const SigninPage& page) : page_(page) {}
    net::Task<void> handle(net::HttpRequest& request, net::HttpResponder& reply) override;

  private:
    const SigninPage& page_;
};

}  // namespace belay::admin
