// SPDX-License-Identifier: Apache-2.0
//
// Json: text to plain values and back: LinkedHashMap, ArrayList, String, Boolean, null, and numbers as Integer, Long, BigInteger
// or, with a fraction or exponent, Double (BigDecimal with `exact`, so that no digit is lost on the way to a field that can hold
// it). Strict (RFC 8259), except that NaN and infinities are written as strings, as AWS's serializer does. Of equal keys the last
// one counts.
package sluice.runtime;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

final class Json {
    static final int MAX_DEPTH = 1000;

    private final String text;
    private final boolean exact;
    private int at;
    private int depth;

    private Json(String text, boolean exact) {
        this.text = text;
        this.exact = exact;
    }

    static Object parse(String text, boolean exact) {
        Json json = new Json(text, exact);
        Object value = json.value();
        json.blanks();
        if (json.at < text.length()) throw json.wrong("the end");
        return value;
    }

    private IllegalArgumentException wrong(String expected) {
        StringBuilder message = new StringBuilder();
        if (at < text.length()) message.append("Unexpected character '").append(text.charAt(at)).append("' at ").append(at);
        else message.append("Unexpected end of input");
        return new IllegalArgumentException(message.append(": expected ").append(expected).toString());
    }

    private void blanks() {
        while (at < text.length()) {
            char c = text.charAt(at);
            if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return;
            at++;
        }
    }

    private Object value() {
        blanks();
        char c = at < text.length() ? text.charAt(at) : 0;
        switch (c) {
        case '{': return object();
        case '[': return array();
        case '"': return string();
        case 't': return word("true", Boolean.TRUE);
        case 'f': return word("false", Boolean.FALSE);
        case 'n': return word("null", null);
        default:
            if (c == '-' || (c >= '0' && c <= '9')) return number();
            throw wrong("a value");
        }
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at)) throw wrong(word);
        at += word.length();
        return value;
    }

    private void enter() {
        at++;
        if (++depth > MAX_DEPTH) throw new IllegalArgumentException("the document is nested deeper than " .concat(String.valueOf(MAX_DEPTH)));
        blanks();
    }

    /** After a member: true when another one follows, false at the end. */
    private boolean another(char end) {
        blanks();
        char c = at < text.length() ? text.charAt(at) : 0;
        if (c != ',' && c != end) throw wrong(end == '}' ? "',' or '}'" : "',' or ']'");
        at++;
        if (c == end) depth--;
        return c == ',';
    }

    private Map<String, Object> object() {
        Map<String, Object> map = new LinkedHashMap<String, Object>();
        enter();
        if (at < text.length() && text.charAt(at) == '}') {
            at++;
            depth--;
            return map;
        }
        do {
            blanks();
            if (at >= text.length() || text.charAt(at) != '"') throw wrong("a name in double quotes");
            String name = string();
            blanks();
            if (at >= text.length() || text.charAt(at) != ':') throw wrong("':'");
            at++;
            map.put(name, value());
        } while (another('}'));
        return map;
    }

    private List<Object> array() {
        List<Object> list = new ArrayList<Object>();
        enter();
        if (at < text.length() && text.charAt(at) == ']') {
            at++;
            depth--;
            return list;
        }
        do {
            list.add(value());
        } while (another(']'));
        return list;
    }

    private String string() {
        int start = ++at;
        while (at < text.length()) {
            char c = text.charAt(at);
            if (c == '"') return text.substring(start, at++);
            if (c == '\\') return escaped(start);
            if (c < ' ') throw wrong("an escape for a control character");
            at++;
        }
        throw wrong("'\"'");
    }

    private String escaped(int start) {
        StringBuilder out = new StringBuilder(at - start + 32).append(text, start, at);
        while (at < text.length()) {
            char c = text.charAt(at);
            if (c < ' ') throw wrong("an escape for a control character");
            at++;
            if (c == '"') return out.toString();
            out.append(c == '\\' ? escape() : c);
        }
        throw wrong("'\"'");
    }

    private char escape() {
        char c = at < text.length() ? text.charAt(at) : 0;
        int known = "\"\\/bfnrt".indexOf(c);
        if (known >= 0) {
            at++;
            return "\"\\/\b\f\n\r\t".charAt(known);
        }
        if (c != 'u' || at + 5 > text.length()) throw wrong("an escape");
        int code = 0;
        for (int i = 1; i <= 4; i++) {
            int digit = Character.digit(text.charAt(at + i), 16);
            if (digit < 0) throw wrong("four hexadecimal digits");
            code = code * 16 + digit;
        }
        at += 5;
        return (char) code;
    }

    private int digits() {
        int start = at;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') at++;
        if (at == start) throw wrong("a digit");
        return at - start;
    }

    private Object number() {
        int start = at;
        if (text.charAt(at) == '-') at++;
        boolean zero = at < text.length() && text.charAt(at) == '0';
        if (digits() > 1 && zero) throw new IllegalArgumentException("a number must not begin with 0");
        boolean whole = true;
        if (at < text.length() && text.charAt(at) == '.') {
            whole = false;
            at++;
            digits();
        }
        if (at < text.length() && (text.charAt(at) == 'e' || text.charAt(at) == 'E')) {
            whole = false;
            at++;
            if (at < text.length() && (text.charAt(at) == '+' || text.charAt(at) == '-')) at++;
            digits();
        }
        String number = text.substring(start, at);
        if (!whole) return exact ? (Object) new BigDecimal(number) : Double.valueOf(number);
        if (number.length() > 18) {
            BigInteger big = new BigInteger(number);
            return big.bitLength() < 64 ? (Object) big.longValue() : big;
        }
        long value = Long.parseLong(number);
        return value == (int) value ? (Object) (int) value : (Object) value;
    }

    // ---- writing ----

    static void string(StringBuilder out, CharSequence text) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c >= ' ' && c != '"' && c != '\\') {
                out.append(c);
                continue;
            }
            int known = "\"\\\b\f\n\r\t".indexOf(c);
            if (known >= 0) out.append('\\').append("\"\\bfnrt".charAt(known));
            else out.append("\\u00").append(Character.forDigit(c >> 4, 16)).append(Character.forDigit(c & 15, 16));
        }
        out.append('"');
    }

    static void number(StringBuilder out, Number number) {
        boolean odd = (number instanceof Double && (number.doubleValue() - number.doubleValue() != 0))
                || (number instanceof Float && (number.floatValue() - number.floatValue() != 0));
        if (odd) string(out, number.toString());
        else out.append(number);
    }
}
