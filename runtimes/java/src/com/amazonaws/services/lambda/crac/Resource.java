// SPDX-License-Identifier: Apache-2.0
//
// Resource: what wants to know of a snapshot and of a restore. The function's org.crac makes one around each of its own.
package com.amazonaws.services.lambda.crac;

public interface Resource {
    void beforeCheckpoint(Context<? extends Resource> context) throws Exception;

    void afterRestore(Context<? extends Resource> context) throws Exception;
}
