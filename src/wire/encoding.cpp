#include "wire/encoding.h"

#include <zlib.h>

#include <algorithm>
#include <array>

namespace belay {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int8_t, 256> make_decode_table() {
    std::array<int8_t, 256> table{};
    table.fill(-1);
    for (int8_t i = 0; i < 64; ++i) {
        table[static_cast<unsigned char>(kAlphabet[i])] = i;
    }
    return table;
}
constexpr auto kDecode = make_decode_table();

constexpr size_t kRatioFree = 64 << 10;  // output that no ratio is asked of
constexpr size_t kBlock = 16 << 10;
constexpr int kGzipOrZlib = 15 + 32;  // window bits; the header tells which
constexpr int kGzipOnly = 15 + 16;

}  // namespace

std::string base64_encode(std::string_view bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    const auto byte = [&](size_t i) {
        return i < bytes.size() ? static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])) : 0u;
    };
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const uint32_t group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
        out += kAlphabet[group >> 18];
        out += kAlphabet[group >> 12 & 63];
        out += i + 1 < bytes.size() ? kAlphabet[group >> 6 & 63] : '=';
        out += i + 2 < bytes.size() ? kAlphabet[group & 63] : '=';
    }
    return out;
}

Result<std::string> base64_decode(std::string_view text) {
    const auto bad = [](size_t at) {
        return caller_error(Kind::invalid_request, "no valid base64 at byte " + std::to_string(at));
    };
    // Padding may be left out, but not be wrong.
    if (text.size() % 4 == 0 && text.ends_with('=')) {
        text.remove_suffix(text.ends_with("==") ? 2 : 1);
    }
    if (text.size() % 4 == 1) {
        return bad(text.size());
    }
    std::string out;
    out.reserve(text.size() / 4 * 3 + 2);
    uint32_t group = 0;
    int bits = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        const int8_t value = kDecode[static_cast<unsigned char>(text[i])];
        if (value < 0) {
            return bad(i);
        }
        group = (group << 6 | static_cast<uint32_t>(value)) & 0xFFFF;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out += static_cast<char>(group >> bits & 0xFF);
        }
    }
    if ((group & ((1u << bits) - 1)) != 0) {
        return bad(text.size() - 1);  // bits beyond the last byte: two texts would mean the same
    }
    return out;
}

struct Inflater::State {
    z_stream stream{};
    size_t max;
    size_t ratio;
    size_t in = 0;
    size_t out = 0;
    bool ready = false;
    bool finished = false;
};

Inflater::Inflater(size_t max, size_t ratio) : state_(std::make_unique<State>()) {
    state_->max = max;
    state_->ratio = ratio;
    state_->ready = inflateInit2(&state_->stream, kGzipOrZlib) == Z_OK;
}

Inflater::~Inflater() {
    if (state_->ready) {
        inflateEnd(&state_->stream);
    }
}

bool Inflater::finished() const { return state_->finished; }

Result<void> Inflater::feed(std::string_view in, std::string& out) {
    State& s = *state_;
    const auto malformed = [](std::string_view why) {
        return upstream_error(Kind::upstream_malformed,
                              "the compressed body is broken: " + std::string(why));
    };
    if (!s.ready) {
        return gateway_error(Kind::internal, "no memory to decompress");
    }
    while (!in.empty()) {
        if (s.finished) {
            return malformed("bytes after its end");
        }
        const size_t piece = std::min<size_t>(in.size(), 1u << 30);
        s.stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
        s.stream.avail_in = static_cast<uInt>(piece);
        in.remove_prefix(piece);
        s.in += piece;
        // Also with no input left, output may still wait inside zlib: a full block means maybe
        // more.
        for (bool more = true; more && !s.finished;) {
            char block[kBlock];
            s.stream.next_out = reinterpret_cast<Bytef*>(block);
            s.stream.avail_out = kBlock;
            const int code = inflate(&s.stream, Z_NO_FLUSH);
            const size_t got = kBlock - s.stream.avail_out;
            if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
                return malformed(s.stream.msg != nullptr ? s.stream.msg : "no gzip or zlib data");
            }
            s.out += got;
            if (s.out > s.max || (s.out > kRatioFree && (s.out - kRatioFree) / s.ratio > s.in)) {
                return malformed("it grows beyond what is allowed");
            }
            out.append(block, got);
            s.finished = code == Z_STREAM_END;
            more = s.stream.avail_out == 0 || s.stream.avail_in != 0;
            if (got == 0 && code == Z_BUF_ERROR) {
                break;
            }
        }
        if (s.finished && s.stream.avail_in != 0) {
            return malformed("bytes after its end");
        }
    }
    return {};
}

std::string gzip_compress(std::string_view bytes) {
    z_stream stream{};
    constexpr int kMemoryLevel = 8;
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipOnly, kMemoryLevel,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return {};
    }
    std::string out;
    char block[kBlock];
    int code = Z_OK;
    while (code == Z_OK) {
        if (stream.avail_in == 0 && !bytes.empty()) {
            const size_t piece = std::min<size_t>(bytes.size(), 1u << 30);
            stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
            stream.avail_in = static_cast<uInt>(piece);
            bytes.remove_prefix(piece);
        }
        stream.next_out = reinterpret_cast<Bytef*>(block);
        stream.avail_out = kBlock;
        code = deflate(&stream, bytes.empty() ? Z_FINISH : Z_NO_FLUSH);
        out.append(block, kBlock - stream.avail_out);
    }
    deflateEnd(&stream);
    return out;
}

}  // namespace belay
