// SPDX-License-Identifier: Apache-2.0
//
// Client: the Lambda Runtime API over one connection. The answer to an event and the request for the next one leave in one
// write; the responses are read back in order, and `owed` counts answers to posts that have not been read yet. The server may
// hold the 202 back until the next event is there.
//
// The classes of this folder are Java 8 and use neither lambdas nor String concatenation by invokedynamic: what a cold start
// loads is what it costs.
package sluice.runtime;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

final class Client {
    /** One event as the server sent it; header names are lower-case. */
    static final class Event {
        final Map<String, String> headers;
        final byte[] body;

        Event(Map<String, String> headers, byte[] body) {
            this.headers = headers;
            this.body = body;
        }

        /** The value of a header, or null when it is not there or empty. */
        String header(String name) {
            String value = headers.get(name);
            return value == null || value.isEmpty() ? null : value;
        }

        String requestId() {
            String id = headers.get("lambda-runtime-aws-request-id");
            return id == null ? "" : id;
        }
    }

    /** The Runtime API answered in a way after which this process cannot go on. */
    static final class Refused extends IOException {
        private static final long serialVersionUID = 1;

        Refused(String message) {
            super(message);
        }
    }

    private static final class Closed extends IOException {
        private static final long serialVersionUID = 1;

        Closed() {
            super("the connection was closed");
        }
    }

    private static final Charset LATIN1 = StandardCharsets.ISO_8859_1;
    private static final String VERSION_PATH = "/2018-06-01/runtime/";
    private static final int MAX_LINE = 1 << 20; // our server's headers are small; a longer line is not HTTP from it
    private static final int EXIT_WAIT_MS = 2000; // for the answer to a post after which the process ends anyway

    private final String address;
    private final String host;
    private final int port;
    private final byte[] next;
    private Socket socket;
    private InputStream in;
    private OutputStream out;
    private final byte[] buffer = new byte[16384];
    private int from;
    private int to;
    private int owed;

    Client(String address) {
        this.address = address;
        int colon = address.lastIndexOf(':');
        host = address.substring(0, colon);
        port = Integer.parseInt(address.substring(colon + 1));
        StringBuilder text = new StringBuilder(160);
        head(text, "GET", "invocation/next").append("\r\n");
        next = text.toString().getBytes(LATIN1);
    }

    /** The next event. Throws Refused when there will be none. */
    Event next() throws IOException {
        try {
            if (socket == null) {
                connect();
                out.write(next);
            }
            try {
                return readEvent();
            } catch (Refused e) {
                throw e;
            } catch (IOException e) {
                // An HTTP server may close a connection between requests, and does after refusing a body.
                connect();
                out.write(next);
                return readEvent();
            }
        } catch (Refused e) {
            throw e;
        } catch (IOException e) {
            throw new Refused("the Runtime API cannot be reached: ".concat(String.valueOf(e.getMessage())));
        }
    }

    /**
     * Says that all that comes before a snapshot is done; returns when an environment is restored from it. The first event is asked
     * for on a connection of its own: this one may have been idle for days.
     */
    void restore() throws IOException {
        try {
            connect();
            out.write(head(new StringBuilder(160), "GET", "restore/next").append("\r\n").toString().getBytes(LATIN1));
            Map<String, String> headers = new HashMap<String, String>();
            int status = readStatus(headers);
            byte[] body = readBody(headers);
            if (status != 200) throw refused(status, body);
            socket.close();
            socket = null;
        } catch (Refused e) {
            throw e;
        } catch (IOException e) {
            throw new Refused("the Runtime API cannot be reached: ".concat(String.valueOf(e.getMessage())));
        }
    }

    /** Posts the outcome of the invocation under way and asks for the next one, in one write. */
    void settle(String path, byte[] body, String errorType) throws IOException {
        byte[] post = post(path, body, errorType, false, next);
        try {
            out.write(post);
            owed = 1;
        } catch (IOException e) {
            // The server may refuse a body before it has read all of it and hang up; its answer, if any, is lost.
            connect();
            out.write(next);
        }
    }

    /** Posts something after which the process ends: asks the server to answer now, and does not insist. */
    void postLast(String path, byte[] body, String errorType) {
        try {
            if (socket == null) connect();
            socket.setSoTimeout(EXIT_WAIT_MS);
            out.write(post(path, body, errorType, true, new byte[0]));
            readStatus(new HashMap<String, String>());
        } catch (IOException e) {
            System.err.println("[ERROR] the error was not reported: ".concat(String.valueOf(e.getMessage())));
        }
    }

    void close() throws IOException {
        if (socket != null) socket.close();
    }

    private void connect() throws IOException {
        if (socket != null) socket.close();
        from = to = owed = 0;
        Socket fresh = new Socket();
        fresh.setTcpNoDelay(true);
        fresh.connect(new InetSocketAddress(InetAddress.getByName(host), port));
        socket = fresh;
        in = fresh.getInputStream();
        out = fresh.getOutputStream();
    }

    private StringBuilder head(StringBuilder text, String method, String path) {
        return text.append(method).append(' ').append(VERSION_PATH).append(path).append(" HTTP/1.1\r\nHost: ").append(address)
                .append("\r\nUser-Agent: sluice-java/1\r\n");
    }

    private byte[] post(String path, byte[] body, String errorType, boolean last, byte[] following) {
        StringBuilder text = new StringBuilder(256);
        head(text, "POST", path).append("Content-Type: application/json\r\n");
        if (errorType != null) text.append("Lambda-Runtime-Function-Error-Type: ").append(errorType).append("\r\n");
        if (last) text.append("Connection: close\r\n");
        text.append("Content-Length: ").append(body.length).append("\r\n\r\n");
        byte[] head = text.toString().getBytes(LATIN1);
        byte[] whole = new byte[head.length + body.length + following.length];
        System.arraycopy(head, 0, whole, 0, head.length);
        System.arraycopy(body, 0, whole, head.length, body.length);
        System.arraycopy(following, 0, whole, head.length + body.length, following.length);
        return whole;
    }

    private Event readEvent() throws IOException {
        while (owed > 0) {
            Map<String, String> headers = new HashMap<String, String>();
            int status = readStatus(headers);
            byte[] body = readBody(headers);
            owed--;
            if (status >= 500) throw refused(status, body);
            if (status != 202) System.err.println("[ERROR] ".concat(refused(status, body).getMessage()));
            if ("close".equalsIgnoreCase(headers.get("connection"))) throw new Closed();
        }
        Map<String, String> headers = new HashMap<String, String>(32);
        int status = readStatus(headers);
        byte[] body = readBody(headers);
        if (status != 200) throw refused(status, body);
        return new Event(headers, body);
    }

    private static Refused refused(int status, byte[] body) {
        return new Refused(new StringBuilder("the Runtime API answered ").append(status).append(": ")
                .append(new String(body, StandardCharsets.UTF_8).trim()).toString());
    }

    /** The status line and headers of one response; interim ones (RFC 9110, 15.2) are skipped. */
    private int readStatus(Map<String, String> headers) throws IOException {
        while (true) {
            String line = readLine();
            if (line.length() < 12) throw new Refused("the Runtime API does not speak HTTP");
            int status = Integer.parseInt(line.substring(9, 12));
            while (!(line = readLine()).isEmpty()) {
                int colon = line.indexOf(':');
                if (colon > 0) headers.put(line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).trim());
            }
            if (status >= 200) return status;
            headers.clear();
        }
    }

    private byte[] readBody(Map<String, String> headers) throws IOException {
        if (headers.containsKey("transfer-encoding")) return readChunked();
        String length = headers.get("content-length");
        return readExactly(length == null ? 0 : Integer.parseInt(length));
    }

    private void more() throws IOException {
        int got = in.read(buffer, 0, buffer.length);
        if (got <= 0) throw new Closed();
        from = 0;
        to = got;
    }

    /** A line without its end. Header values are UTF-8 where they are not ASCII. */
    private String readLine() throws IOException {
        byte[] line = null;
        while (true) {
            if (from == to) more();
            int end = from;
            while (end < to && buffer[end] != '\n') end++;
            line = join(line, from, end);
            if (line.length > MAX_LINE) throw new Refused("the Runtime API sent an endless line");
            boolean whole = end < to;
            from = whole ? end + 1 : end;
            if (!whole) continue;
            int length = line.length > 0 && line[line.length - 1] == '\r' ? line.length - 1 : line.length;
            return new String(line, 0, length, StandardCharsets.UTF_8);
        }
    }

    private byte[] join(byte[] before, int start, int end) {
        int kept = before == null ? 0 : before.length;
        byte[] joined = new byte[kept + end - start];
        if (kept > 0) System.arraycopy(before, 0, joined, 0, kept);
        System.arraycopy(buffer, start, joined, kept, end - start);
        return joined;
    }

    private byte[] readExactly(int length) throws IOException {
        byte[] body = new byte[length];
        int have = Math.min(length, to - from);
        System.arraycopy(buffer, from, body, 0, have);
        from += have;
        while (have < length) {
            int got = in.read(body, have, length - have);
            if (got <= 0) throw new Closed();
            have += got;
        }
        return body;
    }

    private byte[] readChunked() throws IOException {
        java.io.ByteArrayOutputStream body = new java.io.ByteArrayOutputStream();
        while (true) {
            String line = readLine();
            int semicolon = line.indexOf(';');
            int size = Integer.parseInt((semicolon < 0 ? line : line.substring(0, semicolon)).trim(), 16);
            if (size == 0) break;
            body.write(readExactly(size));
            readLine();
        }
        while (!readLine().isEmpty()) continue; // trailers carry nothing for an event
        return body.toByteArray();
    }
}
