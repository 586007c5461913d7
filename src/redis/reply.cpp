#include "redis/reply.h"

#include <hiredis/hiredis.h>

#include <charconv>

namespace belay::redis {
namespace {

// Where the reader's object goes: into the array it belongs to, or a new one that is the root.
Reply* place(const redisReadTask* task) {
    if (task->parent != nullptr && task->parent->obj != nullptr) {
        return &static_cast<Reply*>(task->parent->obj)->items[static_cast<size_t>(task->idx)];
    }
    return new Reply();  // handed to Parser::next(), or to free_root()
}

void* make_text(const redisReadTask* task, char* data, size_t size) {
    Reply* reply = place(task);
    reply->kind = task->type == REDIS_REPLY_ERROR    ? Reply::Kind::error
                  : task->type == REDIS_REPLY_STATUS ? Reply::Kind::status
                                                     : Reply::Kind::text;
    reply->text.assign(data, size);
    return reply;
}

void* make_array(const redisReadTask* task, int count) {
    if (count < 0 || static_cast<size_t>(count) > Parser::kMostItems) {
        return nullptr;
    }
    Reply* reply = place(task);
    reply->kind = Reply::Kind::array;
    reply->items.resize(static_cast<size_t>(count));
    return reply;
}

void* make_integer(const redisReadTask* task, long long number) {
    Reply* reply = place(task);
    reply->kind = Reply::Kind::integer;
    reply->number = number;
    return reply;
}

void* make_nil(const redisReadTask* task) { return place(task); }

void free_root(void* reply) { delete static_cast<Reply*>(reply); }

redisReplyObjectFunctions* functions() {
    static redisReplyObjectFunctions table = {make_text, make_array, make_integer, make_nil,
                                              free_root};
    return &table;
}

}  // namespace

int64_t Reply::as_int() const {
    int64_t value = number;
    if (kind != Kind::integer) {
        std::from_chars(text.data(), text.data() + text.size(), value);
    }
    return value;
}

const Reply& Reply::at(size_t i) const {
    static const Reply kNil;
    return i < items.size() ? items[i] : kNil;
}

Parser::Parser() : reader_(redisReaderCreateWithFunctions(functions())) {}
Parser::~Parser() = default;

void Parser::Free::operator()(redisReader* reader) const { redisReaderFree(reader); }

bool Parser::feed(std::string_view bytes) {
    return reader_ != nullptr && reader_->len - reader_->pos + bytes.size() <= kMostBytes &&
           redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) == REDIS_OK;
}

Result<std::optional<Reply>> Parser::next() {
    void* object = nullptr;
    if (reader_ == nullptr || redisReaderGetReply(reader_.get(), &object) != REDIS_OK) {
        return upstream_error(Kind::upstream_malformed, "Redis sent what is no reply");
    }
    if (object == nullptr) {
        return std::optional<Reply>();
    }
    const std::unique_ptr<Reply> reply(static_cast<Reply*>(object));
    return std::optional<Reply>(std::move(*reply));
}

void write_command(std::string& out, const std::vector<std::string_view>& words) {
    std::vector<const char*> data;
    std::vector<size_t> sizes;
    for (const std::string_view word : words) {
        data.push_back(word.data() == nullptr ? "" : word.data());
        sizes.push_back(word.size());
    }
    char* text = nullptr;
    const int size =
        redisFormatCommandArgv(&text, static_cast<int>(words.size()), data.data(), sizes.data());
    if (size > 0) {
        out.append(text, static_cast<size_t>(size));
    }
    redisFreeCommand(text);
}

}  // namespace belay::redis
