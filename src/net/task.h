#pragma once
// Task<T>: a lazily started coroutine with one awaiter. A Task belongs to the loop on which it is
// awaited. A Task<bool> may also be born with its value, without a coroutine. Destroying a
// suspended Task destroys its frame; whatever it waits for must have been cancelled before (see
// loop.h). Exceptions do not cross: an escaping one ends the process.
#include <coroutine>
#include <cstdlib>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace belay::net {

template <class T>
class Task;

namespace detail {

struct FinalAwaiter {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
        return self.promise().continuation ? self.promise().continuation : std::noop_coroutine();
    }
    void await_resume() const noexcept {}
};

// The value a task was born with. Only bool is worth the space.
template <class T>
struct Early {
    [[nodiscard]] static constexpr bool known() { return false; }
};
template <>
struct Early<bool> {
    bool value = false;
    bool set = false;
    [[nodiscard]] bool known() const { return set; }
};

struct PromiseBase {
    std::coroutine_handle<> continuation;
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    [[nodiscard]] FinalAwaiter final_suspend() const noexcept { return {}; }
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
};

template <class T>
struct Promise : PromiseBase {
    std::optional<T> value;
    Task<T> get_return_object();
    template <class U>
    void return_value(U&& v) {
        value.emplace(std::forward<U>(v));
    }
};

template <>
struct Promise<void> : PromiseBase {
    Task<void> get_return_object();
    void return_void() const noexcept {}
};

}  // namespace detail

template <class T = void>
class [[nodiscard]] Task {
  public:
    using promise_type = detail::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    Task() = default;
    explicit Task(Handle handle) : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})), value_(other.value_) {}
    Task& operator=(Task&& other) noexcept {
        if (this != &other) {
            destroy();
            handle_ = std::exchange(other.handle_, {});
            value_ = other.value_;
        }
        return *this;
    }
    // A task that has ended already.
    [[nodiscard]] static Task ready(bool value)
        requires std::is_same_v<T, bool>
    {
        Task task;
        task.value_ = {value, true};
        return task;
    }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task() { destroy(); }

    [[nodiscard]] bool await_ready() const noexcept { return value_.known(); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) noexcept {
        handle_.promise().continuation = awaiter;
        return handle_;
    }
    T await_resume() {
        if constexpr (std::is_same_v<T, bool>) {
            return value_.known() ? value_.value : *handle_.promise().value;
        } else if constexpr (!std::is_void_v<T>) {
            return std::move(*handle_.promise().value);
        }
    }

    // Gives the frame away (used by Loop::spawn).
    [[nodiscard]] Handle release() { return std::exchange(handle_, {}); }

  private:
    void destroy() {
        if (handle_) {
            handle_.destroy();
            handle_ = {};
        }
    }

    Handle handle_;
    [[no_unique_address]] detail::Early<T> value_;
};

namespace detail {
template <class T>
Task<T> Promise<T>::get_return_object() {
    return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
    return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}
}  // namespace detail

}  // namespace belay::net
