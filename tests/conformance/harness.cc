// See harness.h.

#include "tests/conformance/harness.h"

#include <algorithm>
#include <utility>

#include "core/base/checksum.h"

namespace klamm::conformance {

void Recorder::note(std::string line) {
    {
        const std::lock_guard lock(mutex_);
        lines_.push_back(std::move(line));
    }
    changed_();
}

void Recorder::keep(const std::string& name, std::int64_t number) {
    {
        const std::lock_guard lock(mutex_);
        numbers_[name] = number;
    }
    changed_();
}

void Recorder::append(const std::string& name, ByteView bytes) {
    {
        const std::lock_guard lock(mutex_);
        texts_[name].append(as_text(bytes));
    }
    changed_();
}

std::vector<std::string> Recorder::lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
}

bool Recorder::has(std::string_view line) const {
    const std::lock_guard lock(mutex_);
    return std::find(lines_.begin(), lines_.end(), line) != lines_.end();
}

std::optional<std::int64_t> Recorder::number(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto row = numbers_.find(name);
    if (row == numbers_.end()) return std::nullopt;
    return row->second;
}

std::string Recorder::text(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto row = texts_.find(name);
    return row == texts_.end() ? std::string() : row->second;
}

namespace {

struct Dispatch {
    const Script& script;
    env::Env& env;
    Recorder& record;

    template <class E>
    void call(const Script::Handler<E>& handler, E& event) const {
        if (handler) handler(env, event, record);
    }
    void operator()(env::Started& e) const { call(script.started, e); }
    void operator()(env::Alarm& e) const { call(script.alarm, e); }
    void operator()(env::ReadDone& e) const { call(script.read, e); }
    void operator()(env::Synced& e) const { call(script.synced, e); }
    void operator()(env::Listed& e) const { call(script.listed, e); }
    void operator()(env::Listening& e) const { call(script.listening, e); }
    void operator()(env::Accepted& e) const { call(script.accepted, e); }
    void operator()(env::Connected& e) const { call(script.connected, e); }
    void operator()(env::Received& e) const { call(script.received, e); }
    void operator()(env::Drained& e) const { call(script.drained, e); }
    void operator()(env::Closed& e) const { call(script.closed, e); }
    void operator()(env::MailArrived& e) const { call(script.mail, e); }
    void operator()(env::Computed& e) const { call(script.computed, e); }
    void operator()(env::StopAsked& e) const { call(script.stop_asked, e); }
};

}  // namespace

void ScriptedNode::handle(env::Env& env, env::Event event) {
    const std::size_t number = events_++;
    if (script_.steps.empty()) {
        std::visit(Dispatch{script_, env, record_}, event);
    } else if (number < script_.steps.size()) {
        script_.steps[number](env, event, record_);
    } else {
        record_.note("unexpected event of kind " + std::to_string(event.index()));
    }
}

std::unique_ptr<TestWorld> make_world(Kind kind) {
    if (kind == Kind::real) return make_real_world();
    return make_simulated_world(kind == Kind::simulated_in_pieces);
}

std::string word(const Status& status) { return status.ok() ? "ok" : to_string(status.failure()); }

Buffer buffer(std::string_view text) { return Buffer::copy_of(as_bytes(text)); }

Bytes pattern(std::size_t size, std::uint64_t seed) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::uint8_t>(mix64(seed ^ (i * 0x9e37)));
    }
    return bytes;
}

std::string text_of(const MutableBuffer& bytes, std::size_t size) {
    return std::string(as_text(ByteView(bytes.data(), size)));
}

}  // namespace klamm::conformance
