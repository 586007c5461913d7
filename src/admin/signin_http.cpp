#include "admin/signin_http.h"

namespace belay::admin {

SigninRequest read_signin_request(const net::HttpRequest& request) {
    SigninRequest r;
    r.method = request.method();
    r.path = request.path;
    r.query = request.query;
    r.host = request.header("host");
    r.origin = request.header("origin");
    r.sec_fetch_site = request.header("sec-fetch-site");
    r.content_type = request.header("content-type");
    r.cookie = request.header("cookie");
    r.page_token = request.header("x-belay-token");
    r.link_token = request.header("x-belay-link");
    r.body = request.body;
    return r;
}

net::Task<void> SigninHandler::handle(net::HttpRequest& request, net::HttpResponder& reply) {
    const SigninReply answer = page_.handle(read_signin_request(request));
    co_await reply.send(answer.status, answer.headers, answer.body);
}

}  // namespace belay::admin
