// SPDX-License-Identifier: Apache-2.0
//
// Types that events are turned into and results are made of.
package functions;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

public class Values {
    public static class Point {
        private int x;
        private int y;

        public int getX() {
            return x;
        }

        public void setX(int x) {
            this.x = x;
        }

        public int getY() {
            return y;
        }

        public void setY(int y) {
            this.y = y;
        }
    }

    public enum Color {
        RED, GREEN
    }

    public record Pair<T>(String name, T value) {
    }

    public static class Everything {
        public String text;
        public boolean yes;
        public Boolean maybe;
        public byte small;
        public long big;
        public double real;
        public Float single;
        public char letter;
        public BigDecimal exact;
        public BigInteger huge;
        public Color color;
        public Point point;
        public Point[] points;
        public List<Point> list;
        public Set<Integer> set;
        public Map<String, List<Long>> map;
        public Map<Color, Point> colors;
        public byte[] bytes;
        public int[][] grid;
        public Pair<Point> pair;
        public Pair<List<String>> texts;
        public Optional<String> option;
        public Instant time;
        public UUID uuid;
        public Object any;
        public List<?> anything;
        public transient String skipped = "skipped";
        private String hidden = "hidden";
        private String URL;
        private boolean done;

        public String getURL() {
            return URL;
        }

        public void setURL(String url) {
            this.URL = url;
        }

        public boolean isDone() {
            return done;
        }

        public Everything setDone(boolean done) {
            this.done = done;
            return this;
        }
    }

    public Everything echo(Everything value) {
        return value;
    }

    public Pair<Point> pair(Pair<Point> value) {
        return new Pair<>(value.name() + "!", value.value());
    }

    public List<String> classes(Map<String, Object> value) {
        List<String> names = new ArrayList<>();
        for (Object one : value.values()) names.add(one == null ? "null" : one.getClass().getSimpleName());
        return names;
    }

    public Object loop(Object value) {
        List<Object> loop = new ArrayList<>();
        loop.add(loop);
        return value == null ? "fine" : loop;
    }

    public Object odd(Object value) {
        return new Object[] {Double.NaN, 1.0f, 'c', Color.RED, new Object() { }, null, "\u0001\"\\\u00e9\ud83d\ude00"};
    }

    public static class Node {
        public Node next;
        private final String name;

        private Node(String name) {
            this.name = name;
        }

        public String getName() {
            return name;
        }

        public String getFailing() {
            throw new UnsupportedOperationException("no getter");
        }
    }

    public Node failing(Object value) {
        return new Node("x");
    }
}
