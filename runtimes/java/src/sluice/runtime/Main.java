// SPDX-License-Identifier: Apache-2.0
//
// Entry point of Sluice's Java runtime:
//
//     java -cp /var/runtime/java/build/sluice-runtime.jar sluice.runtime.Main      # handler from _HANDLER (or the first argument)
//
// It finds the handler in the user's code and serves events until the process is ended from outside, by the user's code, or by a
// failure after which a virtual machine is not to be trusted. It has no dependency: AWS's interfaces are those that the user's
// code brings, and are used by reflection. Behaviour (messages, types, log lines) follows AWS's interface client for Java.
//
// One thread. Between Client.next and Client.settle exactly one invocation is under way.
package sluice.runtime;

import java.io.BufferedOutputStream;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UnsupportedEncodingException;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

public final class Main {
    private static final String TRACE = "com.amazonaws.xray.traceHeader"; // where the X-Ray SDK looks

    private Main() {
    }

    /** Standard output in UTF-8, by lines; what is left of a line goes out with its invocation, or when the process ends. */
    private static void arrangeOutput() throws UnsupportedEncodingException {
        System.setOut(new PrintStream(new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 8192), true, "UTF-8"));
        System.setErr(new PrintStream(new BufferedOutputStream(new FileOutputStream(FileDescriptor.err), 8192), true, "UTF-8"));
        Runtime.getRuntime().addShutdownHook(new Thread() {
            @Override
            public void run() {
                flush();
            }
        });
    }

    private static void flush() {
        System.out.flush();
        System.err.flush();
    }

    /** The function, its lib/*.jar, then the layers' java/lib/*.jar; jars by name, so that the order is the same everywhere. */
    private static ClassLoader loader(String root) throws MalformedURLException {
        List<URL> urls = new ArrayList<URL>();
        urls.add(new URL("file", null, -1, root.concat("/")));
        jars(root.concat("/lib"), urls);
        jars("/opt/java/lib", urls);
        ClassLoader loader = new URLClassLoader(urls.toArray(new URL[0]), Main.class.getClassLoader());
        Thread.currentThread().setContextClassLoader(loader);
        return loader;
    }

    private static void jars(String folder, List<URL> urls) throws MalformedURLException {
        String[] names = new File(folder).list();
        if (names == null) return;
        Arrays.sort(names);
        for (String name : names) {
            if (name.endsWith(".jar")) urls.add(new URL("file", null, -1, new StringBuilder(folder).append('/').append(name).toString()));
        }
    }

    private static Handler load(Client client, String name, String root) throws MalformedURLException {
        try {
            return Handler.load(name, loader(root));
        } catch (Failure failure) {
            Logs.failure(failure);
            flush();
            client.postLast("init/error", failure.body(), failure.platformType());
            System.exit(1);
            return null;
        }
    }

    private static void begin(Client.Event event) {
        Logs.requestId = event.requestId();
        Logs.tenantId = event.header("lambda-runtime-aws-tenant-id");
        String trace = event.header("lambda-runtime-trace-id");
        if (trace == null) System.clearProperty(TRACE);
        else System.setProperty(TRACE, trace);
    }

    private static void serve(Client client, Handler handler) throws IOException {
        while (true) {
            Client.Event event = client.next();
            begin(event);
            String path = "invocation/".concat(event.requestId());
            byte[] answer;
            Failure failure = null;
            try {
                answer = handler.call(event);
            } catch (Throwable thrown) {
                failure = Failure.of(thrown);
                answer = failure.body();
                Logs.failure(failure);
            }
            flush();
            if (failure == null) {
                client.settle(path.concat("/response"), answer, null);
            } else if (!failure.fatal) {
                client.settle(path.concat("/error"), answer, failure.platformType());
            } else {
                client.postLast(path.concat("/error"), answer, failure.platformType());
                System.exit(1);
            }
            Thread.interrupted(); // what the user's code set must not end our next read
        }
    }

    public static void main(String[] arguments) throws Exception {
        arrangeOutput();
        Snapshot.offer();
        String handler = arguments.length > 0 ? arguments[0] : System.getenv("_HANDLER");
        String root = System.getenv("LAMBDA_TASK_ROOT");
        Client client = new Client(System.getenv("AWS_LAMBDA_RUNTIME_API"));
        try {
            Handler loaded = load(client, handler == null ? "" : handler, root == null ? "/var/task" : root);
            if (Snapshot.wanted()) Snapshot.take(client);
            serve(client, loaded);
        } catch (Client.Refused e) {
            System.err.println("[ERROR] Runtime.LambdaRuntimeClientError: ".concat(e.getMessage()));
            System.exit(1);
        }
    }
}
