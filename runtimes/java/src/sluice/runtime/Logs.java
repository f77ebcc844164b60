// SPDX-License-Identifier: Apache-2.0
//
// Logs: what a LambdaLogger does: text as it is, or with its level in front; JSON objects with AWS_LAMBDA_LOG_FORMAT=JSON.
// AWS_LAMBDA_LOG_LEVEL drops messages below it; messages without a level always pass. Each message is a line of its own.
package sluice.runtime;

import java.nio.charset.StandardCharsets;
import java.text.SimpleDateFormat;
import java.util.Date;
import java.util.Locale;
import java.util.TimeZone;

final class Logs {
    private static final String[] LEVELS = {"UNDEFINED", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    static final boolean JSON = "JSON".equalsIgnoreCase(System.getenv("AWS_LAMBDA_LOG_FORMAT"));
    private static final int LOWEST = rank(System.getenv("AWS_LAMBDA_LOG_LEVEL"));

    /** The invocation under way, for JSON records; null outside of one. */
    static volatile String requestId;
    static volatile String tenantId;

    private Logs() {
    }

    private static int rank(String level) {
        for (int i = 1; i < LEVELS.length; i++) {
            if (LEVELS[i].equalsIgnoreCase(level)) return i;
        }
        return 0;
    }

    /** level: a name of AWS's LogLevel. */
    static void log(String message, String level) {
        int rank = rank(level);
        if (rank != 0 && rank < LOWEST) return;
        StringBuilder out = new StringBuilder();
        if (JSON) json(out, String.valueOf(message), LEVELS[rank]);
        else if (rank != 0) out.append('[').append(LEVELS[rank]).append("] ").append(message);
        else out.append(message);
        if (out.length() == 0 || out.charAt(out.length() - 1) != '\n') out.append('\n');
        System.out.print(out);
        System.out.flush();
    }

    /** Bytes are never formatted. */
    static void log(byte[] message, String level) {
        int rank = rank(level);
        if ((rank != 0 && rank < LOWEST) || message == null) return;
        System.out.write(message, 0, message.length);
        if (message.length == 0 || message[message.length - 1] != '\n') System.out.write('\n');
        System.out.flush();
    }

    static void failure(Failure failure) {
        log(failure.report(), JSON ? "ERROR" : "UNDEFINED");
    }

    private static void json(StringBuilder out, String message, String level) {
        SimpleDateFormat format = new SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", Locale.ROOT);
        format.setTimeZone(TimeZone.getTimeZone("UTC"));
        out.append("{\"timestamp\":\"").append(format.format(new Date())).append("\",\"message\":");
        Json.string(out, message);
        out.append(",\"level\":\"").append(level).append('"');
        member(out, "AWSRequestId", requestId);
        member(out, "tenantId", tenantId);
        out.append('}');
    }

    private static void member(StringBuilder out, String name, String value) {
        if (value == null) return;
        out.append(",\"").append(name).append("\":");
        Json.string(out, value);
    }

    static String utf8(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
