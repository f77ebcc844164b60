// SPDX-License-Identifier: Apache-2.0
//
// http_conn_fixture: the connection (http_fixture.h) that each test of a file gets anew.
#ifndef SL_TESTS_HTTP_CONN_FIXTURE_H
#define SL_TESTS_HTTP_CONN_FIXTURE_H

#include "http_fixture.h"

static struct fixture *fx;

static int setup(void **state) {
    (void)state;
    fx = fixture_new();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    fixture_free(fx);
    return 0;
}

#define OK(length, body)       "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" body
#define OK_CLOSE(length, body) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\nConnection: close\r\n\r\n" body
#define TEST(name)             cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
