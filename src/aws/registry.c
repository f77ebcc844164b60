// SPDX-License-Identifier: Apache-2.0
//
// registry: which handler does an operation: the tables of all services' files, put into one array by the operation's
// index when the engine is made, and printed for docs/compatibility.md.
#include "aws/call.h"

#include <stdlib.h>

static const struct sl_operation *operation_of(const struct sl_op_entry *entry) {
    return sl_operation_find(sl_service_find(sl_str_of(entry->service)), sl_str_of(entry->operation));
}

int sl_aws_new(struct sl_aws **ret, const struct sl_aws_config *config, struct sl_error *err) {
    struct sl_aws *aws = calloc(1, sizeof *aws);
    if (!aws) return sl_fail(err, SL_E_NO_MEMORY, "operation engine: out of memory");
    aws->config = *config;
    aws->handlers = calloc(sl_operation_total, sizeof(void *));
    if (!aws->handlers) {
        sl_aws_free(aws);
        return sl_fail(err, SL_E_NO_MEMORY, "operation engine: out of memory");
    }
    for (const struct sl_op_entry *const *table = config->tables; table && *table; table++) {
        for (const struct sl_op_entry *entry = *table; entry->service; entry++) {
            const struct sl_operation *operation = operation_of(entry);
            if (!operation || aws->handlers[operation->index]) {
                sl_aws_free(aws);
                return sl_fail(err, SL_E_INVALID, "handler table: %s.%s is %s", entry->service, entry->operation,
                               operation ? "given twice" : "not an operation of the models");
            }
            aws->handlers[operation->index] = entry;
        }
    }
    *ret = aws;
    return SL_OK;
}

void sl_aws_free(struct sl_aws *aws) {
    if (!aws) return;
    free(aws->handlers);
    free(aws);
}

unsigned sl_aws_busy(const struct sl_aws *aws) { return atomic_load(&aws->busy); }

static const struct sl_op_entry *entry_of(const struct sl_op_entry *const *tables,
                                          const struct sl_operation *operation) {
    for (const struct sl_op_entry *const *table = tables; table && *table; table++) {
        for (const struct sl_op_entry *entry = *table; entry->service; entry++) {
            if (operation_of(entry) == operation) return entry;
        }
    }
    return NULL;
}

void sl_aws_operations_print(const struct sl_op_entry *const *tables, struct sl_buf *out) {
    sl_buf_cstr(out, "{\"services\":[");
    for (const struct sl_service *const *at = sl_services; *at; at++) {
        const struct sl_service *service = *at;
        sl_buf_printf(
            out,
            "%s\n{\"service\":\"%.*s\",\"source\":\"%.*s\",\"apiVersion\":\"%.*s\",\"partial\":%s,\"operations\":[",
            at == sl_services ? "" : ",", SL_FMT(service->name), SL_FMT(service->source), SL_FMT(service->api_version),
            service->partial ? "true" : "false");
        for (unsigned i = 0; i < service->operation_count; i++) {
            const struct sl_operation *operation = &service->operations[i];
            const struct sl_op_entry *entry = entry_of(tables, operation);
            sl_buf_printf(out, "%s\n{\"name\":\"%.*s\",\"method\":\"%.*s\",\"uri\":\"%.*s\",\"handler\":%s}",
                          i ? "," : "", SL_FMT(operation->name), SL_FMT(operation->method), SL_FMT(operation->uri),
                          !entry                      ? "null"
                          : entry->mode == SL_OP_DATA ? "\"data\""
                          : entry->mode == SL_OP_WAIT ? "\"wait\""
                                                      : "\"store\"");
        }
        sl_buf_cstr(out, "]}");
    }
    sl_buf_cstr(out, "]}\n");
}
