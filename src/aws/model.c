// SPDX-License-Identifier: Apache-2.0
//
// model: look-ups in the constant tables. Operations are sorted by name, so they are found by halving; services and
// members are few.
#include "aws/model.h"

const struct sl_service *sl_service_find(struct sl_str name) {
    for (const struct sl_service *const *at = sl_services; *at; at++) {
        if (sl_str_eq((*at)->name, name)) return *at;
    }
    return NULL;
}

const struct sl_operation *sl_operation_find(const struct sl_service *service, struct sl_str name) {
    size_t low = 0, high = service ? service->operation_count : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = sl_str_cmp(name, service->operations[middle].name);
        if (order == 0) return &service->operations[middle];
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct sl_member *sl_member_find(const struct sl_shape *structure, struct sl_str name) {
    if (!structure) return NULL;
    for (unsigned i = 0; i < structure->member_count; i++) {
        if (sl_str_eq(structure->members[i].name, name)) return &structure->members[i];
    }
    return NULL;
}
