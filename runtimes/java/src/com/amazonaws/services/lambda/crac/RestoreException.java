// SPDX-License-Identifier: Apache-2.0
//
// RestoreException: one or more afterRestore hooks failed; what they threw is suppressed in it.
package com.amazonaws.services.lambda.crac;

public class RestoreException extends Exception {
    private static final long serialVersionUID = 1;

    public RestoreException() {
    }

    public RestoreException(String message) {
        super(message);
    }
}
