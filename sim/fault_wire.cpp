// What wire faults do to a finished answer: cuts, stalls, pauses and other spellings of the same
// bytes.
#include <algorithm>

#include "sim/fault.h"
#include "wire/encoding.h"

namespace belay::sim {
namespace {

// The index of the n-th (1-based) part of a stage, or of the last one before it; parts.size() if
// none.
size_t nth_of(const std::vector<Part>& parts, Stage stage, int64_t n) {
    size_t found = parts.size();
    for (size_t i = 0; i < parts.size() && n > 0; ++i) {
        if (parts[i].stage == stage) {
            found = i;
            --n;
        }
    }
    return found;
}

// Cuts after the part at `index` (or, when a stream lacks the stage, after its first part).
void cut_after(Reply& r, size_t index, Cut cut) {
    if (r.parts.empty()) {
        r.parts.emplace_back();
    }
    index = std::min(index, r.parts.size() - 1);
    if (!r.streamed) {  // a plain answer: half of its bytes under a length that promises all
        r.announced = r.body().size();
        Part& only = r.parts[index];
        only.bytes.resize(only.bytes.size() / 2);
    }
    r.parts.resize(index + 1);
    r.parts[index].cut = cut;
}

void cut_before_content(Reply& r, Cut cut) {
    const size_t first = nth_of(r.parts, Stage::content, 1);
    if (first == r.parts.size() || first == 0) {
        r.parts.insert(r.parts.begin(), Part{"", milliseconds(0), Cut::none, Stage::handshake});
        r.announced = r.streamed ? std::nullopt : std::optional<size_t>(r.body().size());
        r.parts.resize(1);
        r.parts[0].cut = cut;
        return;
    }
    cut_after(r, first - 1, cut);
}

// Keeps the parts through the n-th content part and breaks that one off at `keep` bytes.
void cut_inside(Reply& r, int64_t n, size_t keep) {
    const size_t index = nth_of(r.parts, Stage::content, n);
    if (index == r.parts.size()) {
        cut_after(r, 0, Cut::close);
        return;
    }
    r.parts.resize(index + 1);
    r.parts[index].bytes.resize(std::min(keep, r.parts[index].bytes.size()));
    r.parts[index].cut = Cut::close;
}

// Puts a two-byte character into the n-th content part and cuts between its bytes.
void cut_mid_utf8(Reply& r, int64_t n) {
    const size_t index = nth_of(r.parts, Stage::content, n);
    if (index == r.parts.size()) {
        cut_after(r, 0, Cut::close);
        return;
    }
    std::string& bytes = r.parts[index].bytes;
    size_t at = bytes.find("\"content\":\"");
    at = at == std::string::npos ? bytes.find("\"delta\":\"") : at;
    at = at == std::string::npos ? bytes.find("\"text\":\"") : at;
    at = at == std::string::npos ? bytes.size() / 2 : bytes.find('"', bytes.find(':', at)) + 1;
    bytes.resize(at);
    bytes += '\xc3';  // the first half of "é"
    r.parts.resize(index + 1);
    r.parts[index].cut = Cut::close;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
    std::string out;
    size_t at = 0;
    for (size_t hit; (hit = text.find(from, at)) != std::string::npos; at = hit + from.size()) {
        out.append(text, at, hit - at);
        out += to;
    }
    out.append(text, at);
    text = std::move(out);
}

void long_line(Reply& r, int64_t bytes) {
    const size_t index = nth_of(r.parts, Stage::content, 1);
    if (index == r.parts.size()) {
        return;
    }
    std::string& text = r.parts[index].bytes;
    const size_t brace = text.find('{');
    if (brace != std::string::npos) {
        text.insert(brace + 1,
                    "\"obfuscation\":\"" + std::string(static_cast<size_t>(bytes), 'x') + "\",");
    }
}

// One compressed body in a few pieces: intermediaries that compress do not respect event borders.
void gzip(Reply& r) {
    const std::string packed = gzip_compress(r.body());
    r.headers.push_back({"content-encoding", "gzip"});
    r.parts.clear();
    const size_t pieces = r.streamed ? 3 : 1;
    for (size_t i = 0; i < pieces; ++i) {
        const size_t from = packed.size() * i / pieces;
        const size_t to = packed.size() * (i + 1) / pieces;
        r.parts.push_back({packed.substr(from, to - from)});
    }
}

}  // namespace

bool ends_before_content(const Fault& fault) {
    if (fault.kind != FaultKind::wire) {
        return false;
    }
    switch (fault.wire) {
        case Wire::drop_before_headers:
        case Wire::reset_before_headers:
        case Wire::stall_before_headers:
        case Wire::cut_after_headers:
        case Wire::stall_after_headers:
        case Wire::cut_after_handshake:
        case Wire::reset_after_handshake:
        case Wire::stall_after_handshake:
            return true;
        default:
            return false;
    }
}

void apply_wire(Reply& r, const Fault& f) {
    const size_t content = nth_of(r.parts, Stage::content, std::max<int64_t>(1, f.at));
    switch (f.wire) {
        case Wire::drop_before_headers:
            r.before_head = Cut::close;
            break;
        case Wire::reset_before_headers:
            r.before_head = Cut::reset;
            break;
        case Wire::stall_before_headers:
            r.before_head = Cut::stall;
            break;
        case Wire::cut_after_headers:
        case Wire::stall_after_headers:
            r.announced = r.streamed ? std::nullopt : std::optional<size_t>(r.body().size());
            r.parts.assign(1, Part{});
            r.parts[0].cut = f.wire == Wire::cut_after_headers ? Cut::close : Cut::stall;
            break;
        case Wire::cut_after_handshake:
            cut_before_content(r, Cut::close);
            break;
        case Wire::stall_after_handshake:
            cut_before_content(r, Cut::stall);
            break;
        case Wire::reset_after_handshake:
            cut_before_content(r, Cut::reset);
            break;
        case Wire::cut_mid_sse: {
            const size_t size = content < r.parts.size() ? r.parts[content].bytes.size() : 0;
            cut_inside(r, std::max<int64_t>(1, f.at), size / 2);
            break;
        }
        case Wire::cut_mid_utf8:
            cut_mid_utf8(r, std::max<int64_t>(1, f.at));
            break;
        case Wire::cut_after_content:
            cut_after(r, content, Cut::close);
            break;
        case Wire::reset_after_content:
            cut_after(r, content, Cut::reset);
            break;
        case Wire::stall_after_content:
            cut_after(r, content, Cut::stall);
            break;
        case Wire::cut_after_finish: {
            const size_t finish = nth_of(r.parts, Stage::finish, 1);
            cut_after(r, finish < r.parts.size() ? finish : 0, Cut::close);
            break;
        }
        case Wire::truncate_body:
            cut_after(r, content, Cut::close);
            break;
        case Wire::slow:
            r.head_delay += f.delay;
            for (Part& part : r.parts) {
                part.delay += r.streamed ? f.delay : milliseconds(0);
            }
            break;
        case Wire::slow_headers:
            r.head_delay += f.delay;
            break;
        case Wire::idle_gap: {
            // After the first content part, so that the client has something and then waits.
            const size_t next = content + 1 < r.parts.size() ? content + 1 : 0;
            if (!r.parts.empty()) {
                r.parts[next].delay += f.delay;
            }
            break;
        }
        case Wire::one_byte_writes:
            r.write_size = 1;
            break;
        case Wire::crlf:
            for (Part& part : r.parts) {
                r.streamed ? replace_all(part.bytes, "\n", "\r\n") : void();
            }
            break;
        case Wire::multi_data:
            for (Part& part : r.parts) {
                r.streamed ? replace_all(part.bytes, "data: {", "data: {\ndata: ") : void();
            }
            break;
        case Wire::long_line:
            long_line(r, f.bytes);
            break;
        case Wire::comments:
            for (Part& part : r.parts) {
                r.streamed ? void(part.bytes.insert(0, ": keep-alive\n\n")) : void();
            }
            break;
        case Wire::bom:
            if (!r.parts.empty()) {
                r.parts[0].bytes.insert(0, "\xef\xbb\xbf");
            }
            break;
        case Wire::gzip:
            gzip(r);
            break;
        case Wire::no_content_type:
            std::erase_if(r.headers, [](const Header& h) { return h.name == "content-type"; });
            break;
    }
}

}  // namespace belay::sim
