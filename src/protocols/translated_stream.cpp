#include "protocols/translated_stream.h"

namespace belay::protocols {

using chat::Event;

FrameFacts TranslatedStream::on_event(std::string_view name, std::string_view data,
                                      std::string& out) {
    FrameFacts facts;
    if (failed_ || ended_ || data.empty() || data == "[DONE]") {
        facts.done = ended_;
        return facts;
    }
    auto value = json::parse(data);
    if (!value.ok() || !value->is_object()) {
        error_ = R"({"error":{"message":"The upstream sent an event that is no JSON object",)"
                 R"("code":"upstream_malformed"}})";
        failed_ = true;
        facts.malformed = true;
        facts.error = error_;
        return facts;
    }
    events_.clear();
    reader_->read(name, *value, events_);
    size_t before = out.size();
    for (const auto& event : events_) {
        take(event, out, facts);
    }
    if (failed_) {
        out.resize(before);
        facts.content = facts.finished = false;
        facts.error = error_;
        return facts;
    }
    content_ |= facts.content;
    if (reader_->done()) {
        facts.done = true;
        end(out);
    }
    return facts;
}

StreamEnd TranslatedStream::on_end(std::string& out) {
    StreamEnd result;
    if (failed_) {
        result.how = Ended::failed;
    } else if (finished_) {
        end(out);
        result.how = Ended::complete;
    } else {
        result.how = content_ ? Ended::cut : Ended::empty;
    }
    result.usage = usage_;
    result.finish_reason = finish_;
    result.upstream_model = model_;
    result.id = frames_.id();
    return result;
}

void TranslatedStream::take(const Event& event, std::string& out, FrameFacts& facts) {
    if (failed_ || (finished_ && event.what != Event::What::usage)) {
        return;
    }
    if (event.what == Event::What::error) {
        error_ = event.text;
        failed_ = true;
        return;
    }
    if (event.what == Event::What::warning) {
        warnings_.push_back(event.text);
    } else if (event.what == Event::What::usage) {
        usage_ = event.usage;
        facts.usage = event.usage;
    } else if (event.what == Event::What::start) {
        model_ = event.model;
    } else if (event.what == Event::What::finish) {
        finished_ = true;
        finish_ = finish_name(event.finish);
        facts.finished = true;
        facts.finish_reason = finish_;
    }
    facts.content |= frames_.write(event, out);
}

void TranslatedStream::end(std::string& out) {
    if (!ended_ && finished_) {
        frames_.write_end(usage_, out);
        ended_ = true;
    }
}

}  // namespace belay::protocols
