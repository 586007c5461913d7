#pragma once
// base64 and gzip.
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace belay {

[[nodiscard]] std::string base64_encode(std::string_view bytes);
[[nodiscard]] Result<std::string> base64_decode(std::string_view text);

// gzip or zlib, incremental, bounded: output at most `ratio` x input (plus 64 KiB) and `max` in
// all.
class Inflater {
  public:
    explicit Inflater(size_t max = 64u << 20, size_t ratio = 100);
    ~Inflater();
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;
    // Appends what `in` unpacks to. Bytes behind the end of the stream are an error.
    [[nodiscard]] Result<void> feed(std::string_view in, std::string& out);
    [[nodiscard]] bool finished() const;  // the end of the stream was seen

  private:
    struct State;
    std::unique_ptr<State> state_;
};

[[nodiscard]] std::string gzip_compress(std::string_view bytes);

}  // namespace belay
