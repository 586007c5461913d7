// The writing side of HTTP/1.1: start lines, headers, chunks.
#include <cstring>

#include "wire/bytes.h"
#include "wire/http.h"

namespace belay::http {

void write_request_line(std::string& out, std::string_view method, std::string_view target) {
    out.append(method).append(1, ' ').append(target).append(" HTTP/1.1\r\n");
}

void write_status_line(std::string& out, int status) {
    if (status == 200) {
        out += "HTTP/1.1 200 OK\r\n";
        return;
    }
    out.append("HTTP/1.1 ").append(std::to_string(status)).append(1, ' ');
    out.append(reason_phrase(status)).append("\r\n");
}

void write_header(std::string& out, std::string_view name, std::string_view value) {
    // Grown once and filled in place: a reply has twenty of these.
    const size_t at = out.size();
    out.resize(at + name.size() + value.size() + 4);
    char* p = out.data() + at;
    std::memcpy(p, name.data(), name.size());
    p += name.size();
    *p++ = ':';
    *p++ = ' ';
    if (!value.empty()) {
        std::memcpy(p, value.data(), value.size());
    }
    char* const end = p + value.size();
    for (const char* control = bytes::find_control(p, end); control != end;
         control = bytes::find_control(control, end)) {
        p[control - p] = ' ';
    }
    end[0] = '\r';
    end[1] = '\n';
}

void write_chunk(std::string& out, std::string_view data) {
    if (data.empty()) {
        return;  // an empty chunk would end the body
    }
    ChunkSize size(data.size());
    out.append(size.begin(), size.size()).append(data).append("\r\n");
}

std::string_view reason_phrase(int status) {
    switch (status) {
        case 100:
            return "Continue";
        case 101:
            return "Switching Protocols";
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 204:
            return "No Content";
        case 301:
            return "Moved Permanently";
        case 302:
            return "Found";
        case 303:
            return "See Other";
        case 304:
            return "Not Modified";
        case 307:
            return "Temporary Redirect";
        case 308:
            return "Permanent Redirect";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 402:
            return "Payment Required";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 406:
            return "Not Acceptable";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 411:
            return "Length Required";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 415:
            return "Unsupported Media Type";
        case 417:
            return "Expectation Failed";
        case 421:
            return "Misdirected Request";
        case 422:
            return "Unprocessable Content";
        case 424:
            return "Failed Dependency";
        case 426:
            return "Upgrade Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 499:
            return "Client Closed Request";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 505:
            return "HTTP Version Not Supported";
        case 529:
            return "Overloaded";
        default:
            return "Unknown";
    }
}

}  // namespace belay::http
