#pragma once
// A run's trace as JSON lines, sufficient to follow and recompute what the judge did: each event of
// the world, each fact with the node that stated it, each fault that fell, each physical truth that
// only the world knows, and the bill at the end. tests/tools/recompute_bill does so.
//
//   {"event":17,"time":1234567,"node":2,"shard":0,"kind":"Received","id":5,...,"hash":"..."}
//   {"fact":"BatchAppended","time":...,"node":"broker-1","partition":0,"epoch":3,...}
//   {"fault":3,"kind":"kill","time":...,"text":"12.304s kill broker-2 for 1.200s"}
//   {"truth":"power","time":...,"node":"broker-2","fault":3,"damages":[{"partition":0,
//    "segment_base":0,"ranges":[[4096,5120]],"synced":4096,"before":6000,"after":5500}],...}
//   {"bill":{"records_promised":...}}
//
// Times are nanoseconds of the world's virtual time. An event's line follows the facts of its turn.

#include <string>

#include "core/base/facts.h"
#include "core/base/time.h"
#include "sim/judge/judge.h"
#include "sim/run/plan.h"
#include "sim/world/trace.h"

namespace klamm::sim {

/// One line each, with its newline.
std::string trace_line(const EventRecord& record);
std::string trace_line(Instant time, const std::string& node, const facts::Fact& fact);
std::string trace_line(Instant time, const FaultEvent& fault);
std::string trace_line(const Truth& truth);
std::string trace_line(const Bill& bill);

}  // namespace klamm::sim
