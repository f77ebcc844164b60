// SPDX-License-Identifier: Apache-2.0
//
// CheckpointException: one or more beforeCheckpoint hooks failed; what they threw is suppressed in it.
package com.amazonaws.services.lambda.crac;

public class CheckpointException extends Exception {
    private static final long serialVersionUID = 1;

    public CheckpointException() {
    }

    public CheckpointException(String message) {
        super(message);
    }
}
