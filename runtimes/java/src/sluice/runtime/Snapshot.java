// SPDX-License-Identifier: Apache-2.0
//
// Snapshot: SnapStart, between the function's init and its first event (AWS_LAMBDA_INITIALIZATION_TYPE=snap-start). What the
// function registered through org.crac runs before the snapshot and after the restore; between the two this process waits,
// frozen, in restore/next. A failure is logged, reported, and ends the process. Types and exit status are those of AWS's client.
package sluice.runtime;

import com.amazonaws.services.lambda.crac.Core;
import java.io.IOException;

final class Snapshot {
    private static final String COMPAT = "org.crac.Core.Compat"; // where org.crac looks for what is behind it
    private static final int EXIT = 64;

    private Snapshot() {
    }

    /** Before the function's first class is loaded. */
    static void offer() {
        System.setProperty(COMPAT, "com.amazonaws.services.lambda.crac");
    }

    static boolean wanted() {
        return "snap-start".equals(System.getenv("AWS_LAMBDA_INITIALIZATION_TYPE"));
    }

    static void take(Client client) throws IOException {
        try {
            Core.getGlobalContext().beforeCheckpoint(null);
        } catch (Throwable thrown) {
            fail(client, thrown, "init/error", "Runtime.BeforeCheckpointError");
        }
        System.gc(); // as AWS's does: a snapshot without garbage
        flush();
        client.restore();
        try {
            Core.getGlobalContext().afterRestore(null);
        } catch (Throwable thrown) {
            fail(client, thrown, "restore/error", "Runtime.AfterRestoreError");
        }
        flush();
    }

    private static void flush() {
        System.out.flush();
        System.err.flush();
    }

    private static void fail(Client client, Throwable thrown, String path, String type) {
        Failure failure = Failure.of(thrown);
        Logs.failure(failure);
        flush();
        client.postLast(path, failure.body(), type);
        System.exit(EXIT);
    }
}
