#pragma once
// A stream of another protocol on its way to a chat client: parse, read into neutral events, write
// as chunks. The counterpart of ChatStreamMender for upstreams that do not speak chat.
#include <memory>
#include <string>
#include <vector>

#include "protocols/event_reader.h"
#include "protocols/openai_chat.h"
#include "protocols/stream.h"

namespace belay::protocols {

class TranslatedStream final : public ReplyStream {
  public:
    TranslatedStream(std::unique_ptr<EventReader> reader, StreamOptions options)
        : reader_(std::move(reader)), frames_(std::move(options)) {}

    [[nodiscard]] FrameFacts on_event(std::string_view name, std::string_view data,
                                      std::string& out) override;
    [[nodiscard]] StreamEnd on_end(std::string& out) override;
    [[nodiscard]] const std::vector<std::string>& warnings() const override { return warnings_; }

  private:
    void take(const chat::Event& event, std::string& out, FrameFacts& facts);
    void end(std::string& out);

    std::unique_ptr<EventReader> reader_;
    ChatFrames frames_;
    std::vector<chat::Event> events_;
    std::vector<std::string> warnings_;
    std::optional<chat::Usage> usage_;
    std::string finish_;
    std::string model_;
    std::string error_;
    bool content_ = false;
    bool finished_ = false;
    bool ended_ = false;  // the end mark was written
    bool failed_ = false;
};

}  // namespace belay::protocols
