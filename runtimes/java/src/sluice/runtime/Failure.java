// SPDX-License-Identifier: Apache-2.0
//
// Failure: what is reported and logged when the user's code fails, in the shape of AWS's Java runtime: errorMessage, errorType,
// stackTrace (the user's frames) and the chain of causes. A fault is a failure that has no trace: a handler that is not there or
// has the wrong form. A fatal one ends the process after it was reported.
package sluice.runtime;

import java.io.IOError;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Set;

final class Failure extends RuntimeException {
    private static final long serialVersionUID = 1;
    private static final String OWN = "sluice.runtime.";
    private static final int MAX_CAUSES = 50;

    final String type;
    final boolean fatal;
    private final transient Throwable thrown; // null: a fault

    private Failure(String message, String type, boolean fatal, Throwable origin, Throwable thrown) {
        super(message, origin, false, false);
        this.type = type;
        this.fatal = fatal;
        this.thrown = thrown;
    }

    static Failure fault(String message) {
        return new Failure(message, null, false, null, null);
    }

    static Failure fault(String message, Throwable origin, boolean fatal) {
        return new Failure(message, origin.getClass().getName(), fatal, origin, null);
    }

    /** Something that the user's code threw. After a broken virtual machine nothing more may run. */
    static Failure of(Throwable thrown) {
        if (thrown instanceof Failure) return (Failure) thrown;
        boolean fatal = thrown instanceof VirtualMachineError || thrown instanceof IOError;
        return new Failure(message(thrown), thrown.getClass().getName(), fatal, thrown, thrown);
    }

    static String message(Throwable thrown) {
        String message;
        try {
            message = thrown.getLocalizedMessage();
        } catch (RuntimeException e) { // an exception whose message fails must not end the runtime
            message = null;
        }
        return message == null ? thrown.getClass().getName() : message;
    }

    /** For the header: what kind of failure this is to the platform. */
    String platformType() {
        return thrown == null ? "Runtime.BadFunctionCode" : "Runtime.UserException";
    }

    byte[] body() {
        StringBuilder out = new StringBuilder(512);
        if (thrown == null) {
            out.append("{\"errorMessage\":");
            Json.string(out, getMessage());
            if (type != null) {
                out.append(",\"errorType\":");
                Json.string(out, type);
            }
            out.append('}');
        } else {
            write(out, thrown, 0);
        }
        return out.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static void write(StringBuilder out, Throwable thrown, int depth) {
        out.append("{\"errorMessage\":");
        Json.string(out, message(thrown));
        out.append(",\"errorType\":");
        Json.string(out, thrown.getClass().getName());
        out.append(",\"stackTrace\":[");
        StackTraceElement[] frames = userFrames(thrown.getStackTrace());
        for (int i = 0; i < frames.length; i++) {
            if (i > 0) out.append(',');
            Json.string(out, frames[i].toString());
        }
        out.append(']');
        if (thrown.getCause() != null && depth < MAX_CAUSES) {
            out.append(",\"cause\":");
            write(out, thrown.getCause(), depth + 1);
        }
        out.append('}');
    }

    /** Frames above the first of ours, without the reflection between. */
    private static StackTraceElement[] userFrames(StackTraceElement[] frames) {
        int end = 0;
        while (end < frames.length && !frames[end].getClassName().startsWith(OWN)) end++;
        if (end == frames.length) return frames;
        while (end > 0 && isReflection(frames[end - 1].getClassName())) end--;
        StackTraceElement[] kept = new StackTraceElement[end];
        System.arraycopy(frames, 0, kept, 0, end);
        return kept;
    }

    private static boolean isReflection(String name) {
        return name.startsWith("jdk.internal.reflect.") || name.startsWith("java.lang.reflect.") || name.startsWith("sun.reflect.")
                || name.startsWith("java.lang.invoke.");
    }

    private static void trim(Throwable thrown, Set<Throwable> seen) {
        if (thrown == null || !seen.add(thrown)) return;
        thrown.setStackTrace(userFrames(thrown.getStackTrace()));
        trim(thrown.getCause(), seen);
        for (Throwable suppressed : thrown.getSuppressed()) trim(suppressed, seen);
    }

    /** For the log, as AWS writes it: message, type, trace. */
    String report() {
        StringWriter text = new StringWriter();
        PrintWriter out = new PrintWriter(text);
        out.append(getMessage());
        Throwable origin = thrown != null ? thrown : getCause();
        if (origin != null) {
            out.append(": ").append(origin.getClass().getName()).append('\n');
            trim(origin, Collections.newSetFromMap(new IdentityHashMap<Throwable, Boolean>()));
            try {
                origin.printStackTrace(out);
            } catch (RuntimeException e) { // its message fails
                for (StackTraceElement frame : origin.getStackTrace()) out.append("\tat ").append(frame.toString()).append('\n');
            }
        }
        out.append('\n');
        out.flush();
        return text.toString();
    }
}
