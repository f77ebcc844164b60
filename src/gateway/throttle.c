// SPDX-License-Identifier: Apache-2.0
//
// throttle: the token bucket of a route (ThrottlingRateLimit, ThrottlingBurstLimit of a stage's settings), as the
// generic cell rate algorithm: one 64-bit number, moved by compare-and-swap, no refill timer. Any thread. A bucket
// starts full; publishing an API anew (a change of configuration) makes new buckets.
#include "gateway/table.h"

void sl_gateway__throttle_init(struct sl_gw_throttle *throttle, double rate, int64_t burst) {
    throttle->limited = true;
    throttle->interval_ns = rate > 0 ? (int64_t)(1e9 / rate) : INT64_MAX;
    // Never above a century, so that sums cannot overflow.
    int64_t most = INT64_C(3155760000) * 1000000000 / (burst > 0 ? burst : 1);
    throttle->burst_ns = burst <= 0 ? 0 : (throttle->interval_ns < most ? throttle->interval_ns : most) * burst;
    atomic_store_explicit(&throttle->full_ns, 0, memory_order_relaxed);
}

bool sl_gateway__throttle_take(struct sl_gw_throttle *throttle, int64_t now_ns) {
    if (!throttle->limited) return true;
    if (throttle->burst_ns == 0 || throttle->interval_ns == INT64_MAX) return false;
    int64_t full = atomic_load_explicit(&throttle->full_ns, memory_order_relaxed), next;
    do {
        next = (full > now_ns ? full : now_ns) + throttle->interval_ns;
        if (next - now_ns > throttle->burst_ns) return false;
    } while (!atomic_compare_exchange_weak_explicit(&throttle->full_ns, &full, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}
