// SPDX-License-Identifier: Apache-2.0
//
// Entry point of a Java that is started before it is known for which function (../../../../../README.md, "Blanks"):
//
//     java -cp /var/runtime/java/build/sluice-runtime.jar sluice.runtime.Blank
//
// It rehearses an invocation with a handler and a server of its own, which loads the classes that a start goes through; says that
// it is ready; waits until the process has become a function's (native/blank.c); and goes on as Main does. Nothing before that may
// ask for an environment variable: Java copies the environment when the first is asked for.
package sluice.runtime;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TimeZone;

public final class Blank {
    private static final int NOT_NEEDED = 1;
    private static final int BROKEN = 2;
    private static final int REHEARSALS = 20;

    private Blank() {
    }

    private static native void ready();

    private static native int become();

    /** Plays the function. */
    public static final class Rehearsal {
        public Map<String, Object> handle(Map<String, Object> event) {
            return event;
        }
    }

    /** Plays the server for one connection: the same event again and again; ends when it has answered `count` requests for one. */
    private static final class Stage extends Thread {
        private final ServerSocket listener;
        private int count;

        Stage(ServerSocket listener, int count) {
            this.listener = listener;
            this.count = count;
        }

        @Override
        public void run() {
            byte[] event = "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 0\r\nLambda-Runtime-Deadline-Ms: 0\r\n"
                    .concat("Content-Type: application/json\r\nContent-Length: 27\r\n\r\n{\"a\":[1,2.5,true,null,\"x\"]}")
                    .getBytes(StandardCharsets.ISO_8859_1);
            byte[] accepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1);
            try {
                Socket socket = listener.accept();
                socket.setTcpNoDelay(true);
                InputStream in = socket.getInputStream();
                byte[] buffer = new byte[4096];
                boolean first = true;
                // One write of the client's is one read here, or two; what it says does not matter.
                while (count-- > 0 && in.read(buffer) > 0) {
                    if (!first) socket.getOutputStream().write(accepted);
                    first = false;
                    socket.getOutputStream().write(event);
                }
                socket.close();
            } catch (IOException e) {
                // the client's side fails too, and that ends the rehearsal
            }
        }
    }

    private static void play() throws IOException {
        ServerSocket listener = new ServerSocket(0, 1, InetAddress.getByAddress(new byte[] {127, 0, 0, 1}));
        Stage stage = new Stage(listener, REHEARSALS);
        stage.setDaemon(true);
        stage.start();
        try {
            Handler handler = Handler.load("sluice.runtime.Blank$Rehearsal::handle", Blank.class.getClassLoader());
            Client client = new Client("127.0.0.1:".concat(String.valueOf(listener.getLocalPort())));
            for (int i = 0; i < REHEARSALS - 1; i++) {
                Client.Event event = client.next();
                client.settle("invocation/0/response", handler.call(event), null);
            }
            client.close();
        } catch (Throwable e) {
            System.err.println("[ERROR] a rehearsal failed: ".concat(String.valueOf(e)));
        } finally {
            listener.close();
        }
    }

    /** What finds the user's classes in folders and jars. */
    private static void load(String jar) throws Exception {
        URLClassLoader loader = new URLClassLoader(new URL[] {new URL("file", null, -1, "/usr/"), new URL("file", null, -1, jar)}, null);
        loader.loadClass("sluice.runtime.Json");
        loader.close();
        for (String name : new String[] {"Contexts", "Failure", "Beans", "Logs"}) {
            Class.forName("sluice.runtime.".concat(name), false, Blank.class.getClassLoader());
        }
    }

    public static void main(String[] arguments) throws Exception {
        String jar = System.getProperty("java.class.path");
        System.load(new File(new File(jar).getAbsoluteFile().getParentFile(), "libsluice-blank.so").getPath());
        load(jar);
        play();
        System.gc();
        ready();
        int result = become();
        if (result == NOT_NEEDED) Runtime.getRuntime().halt(0);
        if (result == BROKEN) {
            System.err.println("[ERROR] what arrived is no block");
            Runtime.getRuntime().halt(1);
        }
        // Whoever asked for the time zone so far got the wrong one.
        System.clearProperty("user.timezone");
        TimeZone.setDefault(null);
        Main.main(arguments);
    }
}
