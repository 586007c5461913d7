#pragma once
// Result<T>: a value or an Error. Used for every failure that can be expected.
//
//   Result<Url> parse_url(std::string_view text);
//   auto url = TRY(parse_url(text));            // plain functions: returns the error upwards
//   CO_TRY_ASSIGN(auto url, parse_url(text));   // coroutines: co_returns the error
#include <utility>
#include <variant>

#include "base/error.h"

namespace belay {

template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    [[nodiscard]] T& value() & { return *std::get_if<0>(&state_); }
    [[nodiscard]] const T& value() const& { return *std::get_if<0>(&state_); }
    [[nodiscard]] T&& value() && { return std::move(*std::get_if<0>(&state_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return std::get_if<0>(&state_); }
    const T* operator->() const { return std::get_if<0>(&state_); }

    [[nodiscard]] Error& error() & { return *std::get_if<1>(&state_); }
    [[nodiscard]] const Error& error() const& { return *std::get_if<1>(&state_); }
    [[nodiscard]] Error&& error() && { return std::move(*std::get_if<1>(&state_)); }

  private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)), failed_(true) {}

    [[nodiscard]] bool ok() const { return !failed_; }
    explicit operator bool() const { return ok(); }
    void value() const {}
    void operator*() const {}
    [[nodiscard]] Error& error() & { return error_; }
    [[nodiscard]] const Error& error() const& { return error_; }
    [[nodiscard]] Error&& error() && { return std::move(error_); }

  private:
    Error error_;
    bool failed_ = false;
};

}  // namespace belay

#define BELAY_JOIN2(a, b) a##b
#define BELAY_JOIN(a, b) BELAY_JOIN2(a, b)

// The value of a Result, or return its error from this function. Not for coroutines.
#define TRY(expression)                          \
    ({                                           \
        auto belay_try = (expression);           \
        if (!belay_try.ok()) {                   \
            return std::move(belay_try).error(); \
        }                                        \
        std::move(belay_try).value();            \
    })

// Declares or assigns `target` from a Result inside a coroutine, or co_returns its error.
#define CO_TRY_ASSIGN(target, expression)                              \
    auto BELAY_JOIN(belay_try_, __LINE__) = (expression);              \
    if (!BELAY_JOIN(belay_try_, __LINE__).ok()) {                      \
        co_return std::move(BELAY_JOIN(belay_try_, __LINE__)).error(); \
    }                                                                  \
    target = std::move(BELAY_JOIN(belay_try_, __LINE__)).value()

// For a Result<void> inside a coroutine.
#define CO_TRY(expression)                          \
    do {                                            \
        auto belay_try = (expression);              \
        if (!belay_try.ok()) {                      \
            co_return std::move(belay_try).error(); \
        }                                           \
    } while (0)
