// How programs that link mimalloc use it. What was freed goes back to the system after seconds
// instead of milliseconds: a simulated run and a broker under load want it again at once, and each
// page that the system gives anew is a fault and is cleared first.

#include <mimalloc.h>

namespace {

constexpr long give_back_after_ms = 10'000;

[[maybe_unused]] const bool allocator_is_set = [] {
    mi_option_set(mi_option_decommit_delay, give_back_after_ms);
    mi_option_set(mi_option_segment_decommit_delay, give_back_after_ms);
    return true;
}();

}  // namespace
