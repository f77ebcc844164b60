// SPDX-License-Identifier: Apache-2.0
//
// Handlers of every form that AWS's Java runtime takes, and of some that it does not.
package functions;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import com.amazonaws.services.lambda.runtime.events.QueueEvent;
import com.amazonaws.services.lambda.runtime.events.StoreEvent;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;

public class Forms implements RequestHandler<Map<String, Object>, Object> {
    @Override
    public Object handleRequest(Map<String, Object> input, Context context) {
        return input;
    }

    static void copy(InputStream in, OutputStream out) throws IOException {
        byte[] buffer = new byte[8192];
        for (int got; (got = in.read(buffer)) > 0;) out.write(buffer, 0, got);
    }

    public static class Stream implements RequestStreamHandler {
        @Override
        public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {
            copy(in, out);
        }
    }

    public abstract static class Base<A, B> implements RequestHandler<A, B> {
        protected abstract B answer(A input);

        @Override
        public B handleRequest(A input, Context context) {
            return answer(input);
        }
    }

    public static class Derived extends Base<List<Values.Point>, Integer> {
        @Override
        protected Integer answer(List<Values.Point> points) {
            int sum = 0;
            for (Values.Point point : points) sum += point.getX() * point.getY();
            return sum;
        }
    }

    public static class Raw<T> implements RequestHandler<T, T> {
        @Override
        public T handleRequest(T input, Context context) {
            return input;
        }
    }

    public static class Methods {
        public Object echo(Object value) {
            return value;
        }

        public static String fixed() {
            return "fixed";
        }

        public void nothing(Object value) {
        }

        public String onlyContext(Context context) {
            return context.getFunctionName();
        }

        public String text(String text, Context context) {
            return text + "/" + context.getFunctionName();
        }

        public int number(int number) {
            return number + 1;
        }

        public void streams(InputStream in, OutputStream out) throws IOException {
            copy(in, out);
        }

        public void allStreams(InputStream in, OutputStream out, Context context) throws IOException {
            copy(in, out);
            out.write(context.getFunctionName().getBytes("UTF-8"));
        }

        public void input(InputStream in) {
        }

        public void output(OutputStream out, Context context) throws IOException {
            out.write(new byte[] {0, (byte) 0xff, 'r', 'a', 'w'});
        }

        public String overloaded(String one) {
            return "one";
        }

        public String overloaded(String one, Context context) {
            return "one and a context";
        }

        public String overloaded(String one, String two) {
            return "two";
        }

        public String wrong(String one, String two, String three, String four) {
            return "four";
        }

        String hidden(String one) {
            return "hidden";
        }
    }

    public static class Events implements RequestHandler<QueueEvent, QueueEvent> {
        @Override
        public QueueEvent handleRequest(QueueEvent event, Context context) {
            return event;
        }
    }

    public static class Store {
        public StoreEvent.Event handle(StoreEvent.Event event) {
            return event;
        }
    }

    public static class NoInterface {
    }

    public class Inner {
        public Object handle(Object value) {
            return value;
        }
    }

    public static class NeedsArgument {
        public NeedsArgument(String needed) {
        }

        public Object handle(Object value) {
            return value;
        }
    }

    public static class ConstructorThrows {
        public ConstructorThrows() {
            throw new IllegalStateException("no é");
        }

        public Object handle(Object value) {
            return value;
        }
    }

    public static class StaticThrows {
        static final int VALUE = Integer.parseInt("x");

        public Object handle(Object value) {
            return value;
        }
    }
}
