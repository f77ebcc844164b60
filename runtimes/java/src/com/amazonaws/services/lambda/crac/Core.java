// SPDX-License-Identifier: Apache-2.0
//
// Core: the SnapStart hooks of a Java function. The function's own org.crac finds this package through the system property
// org.crac.Core.Compat (sluice.runtime.Main sets it to this package's name, which is AWS's) and registers with it by reflection:
// names and signatures of the public classes here are those that org.crac asks for.
package com.amazonaws.services.lambda.crac;

public final class Core {
    private static final Context<Resource> GLOBAL = new Registry();

    private Core() {
    }

    public static Context<Resource> getGlobalContext() {
        return GLOBAL;
    }

    /** The service takes snapshots when it wants to, not the function. */
    public static void checkpointRestore() {
        throw new UnsupportedOperationException();
    }
}
