// SPDX-License-Identifier: Apache-2.0
//
// Mapper: plain JSON values (see Json) to objects of a Java type, and objects to JSON text. It stands in for the Jackson that
// AWS's runtime has inside, set up like it: unknown members are ignored, null members are not written, an empty string is null
// for an object, a single value is taken for a list of one. README.md has the list of types. Jackson's annotations mean
// nothing, as on AWS, whose Jackson is a renamed copy.
package sluice.runtime;

import java.lang.reflect.Array;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.lang.reflect.WildcardType;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Collections;
import java.util.Date;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;

final class Mapper {
    private static final Map<TypeVariable<?>, Type> NONE = Collections.emptyMap();

    private Mapper() {
    }

    /** True when the plain value is what the type wants. */
    private static boolean isPlain(Type type) {
        if (type == Object.class || type == Map.class) return true;
        if (!(type instanceof ParameterizedType)) return false;
        ParameterizedType generic = (ParameterizedType) type;
        Type[] arguments = generic.getActualTypeArguments();
        return generic.getRawType() == Map.class && arguments[0] == String.class && arguments[1] == Object.class;
    }

    static Object read(String text, Type type) {
        Object value = Json.parse(text, !isPlain(type));
        if (isPlain(type) && (type == Object.class || value == null || value instanceof Map)) return value;
        return bind(value, type, NONE);
    }

    /** getURL is the property URL, getName is name (JavaBeans). */
    static String decapitalize(String name) {
        if (name.length() > 1 && Character.isUpperCase(name.charAt(0)) && Character.isUpperCase(name.charAt(1))) return name;
        return new StringBuilder(name.length()).append(Character.toLowerCase(name.charAt(0))).append(name, 1, name.length()).toString();
    }

    // ---- reading ----

    private static IllegalArgumentException cannot(Object value, Class<?> type) {
        String kind = value instanceof Map ? "an object" : value instanceof List ? "a list" : value instanceof String ? "a string"
                : value instanceof Boolean ? "a boolean" : "a number";
        return new IllegalArgumentException(new StringBuilder("Cannot make ").append(type.getName()).append(" of ").append(kind).toString());
    }

    private static Object bind(Object value, Type type, Map<TypeVariable<?>, Type> variables) {
        if (type instanceof Class) return bindClass(value, (Class<?>) type, new Type[0], variables);
        if (type instanceof ParameterizedType) {
            ParameterizedType generic = (ParameterizedType) type;
            Type[] arguments = generic.getActualTypeArguments().clone();
            for (int i = 0; i < arguments.length; i++) arguments[i] = resolve(arguments[i], variables);
            return bindClass(value, (Class<?>) generic.getRawType(), arguments, variables);
        }
        if (type instanceof GenericArrayType) {
            Type component = resolve(((GenericArrayType) type).getGenericComponentType(), variables);
            return array(value, component, raw(component), variables);
        }
        return bind(value, resolve(type, variables), variables);
    }

    /** A type without variables and wildcards at the top: what stands for them, else their bound. */
    private static Type resolve(Type type, Map<TypeVariable<?>, Type> variables) {
        if (type instanceof TypeVariable) {
            Type known = variables.get(type);
            return known != null && known != type ? known : raw(type);
        }
        return type instanceof WildcardType ? resolve(((WildcardType) type).getUpperBounds()[0], variables) : type;
    }

    static Class<?> raw(Type type) {
        if (type instanceof Class) return (Class<?>) type;
        if (type instanceof ParameterizedType) return (Class<?>) ((ParameterizedType) type).getRawType();
        if (type instanceof GenericArrayType) return Array.newInstance(raw(((GenericArrayType) type).getGenericComponentType()), 0).getClass();
        if (type instanceof TypeVariable) return raw(((TypeVariable<?>) type).getBounds()[0]);
        return raw(((WildcardType) type).getUpperBounds()[0]);
    }

    private static Object bindClass(Object value, Class<?> type, Type[] arguments, Map<TypeVariable<?>, Type> variables) {
        if (type == Optional.class) return Optional.ofNullable(bind(value, arguments.length > 0 ? arguments[0] : Object.class, variables));
        if (value == null) return type.isPrimitive() ? scalar(0, type) : null;
        if (type == Object.class) return plain(value);
        if (Map.class.isAssignableFrom(type)) return map(value, type, arguments, variables);
        if (Collection.class.isAssignableFrom(type) || type == Iterable.class) return collection(value, type, arguments, variables);
        if (type.isArray()) return array(value, type.getComponentType(), type.getComponentType(), variables);
        // As AWS: a list of one is its element.
        if (value instanceof List && ((List<?>) value).size() == 1) return bindClass(((List<?>) value).get(0), type, arguments, variables);
        if (!(value instanceof Map) && !(value instanceof List)) {
            Object scalar = scalar(value, type);
            if (scalar != null || (value instanceof String && (((String) value).isEmpty() || type.isEnum()))) return scalar;
        }
        if (!(value instanceof Map) || type.isPrimitive() || type.isEnum() || type.getName().startsWith("java.")) throw cannot(value, type);
        return bean((Map<?, ?>) value, type, arguments);
    }

    /** For Object: numbers as they are without a wish. */
    private static Object plain(Object value) {
        if (value instanceof BigDecimal) return ((BigDecimal) value).doubleValue();
        if (value instanceof List) {
            List<Object> list = new ArrayList<Object>();
            for (Object item : (List<?>) value) list.add(plain(item));
            return list;
        }
        if (!(value instanceof Map)) return value;
        Map<String, Object> map = new LinkedHashMap<String, Object>();
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) map.put((String) entry.getKey(), plain(entry.getValue()));
        return map;
    }

    /** An object of `type`, or of `standard` where type is an interface that it implements. */
    private static Object container(Class<?> type, Class<?> standard) {
        if (!type.isAssignableFrom(standard) && !Modifier.isAbstract(type.getModifiers())) {
            Beans beans = Beans.of(type);
            if (beans.constructor != null) return Beans.create(beans.constructor);
        }
        if (!type.isAssignableFrom(standard)) throw new IllegalArgumentException("Cannot make a ".concat(type.getName()));
        return Beans.create(Beans.of(standard).constructor);
    }

    private static Object map(Object value, Class<?> type, Type[] arguments, Map<TypeVariable<?>, Type> variables) {
        if (!(value instanceof Map)) {
            if ("".equals(value)) return null;
            throw cannot(value, type);
        }
        @SuppressWarnings("unchecked")
        Map<Object, Object> map = (Map<Object, Object>) container(type, SortedMap.class.isAssignableFrom(type) ? TreeMap.class
                : type == java.util.concurrent.ConcurrentMap.class ? java.util.concurrent.ConcurrentHashMap.class : LinkedHashMap.class);
        boolean known = arguments.length == 2;
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
            Object key = known ? bind(entry.getKey(), arguments[0], variables) : entry.getKey();
            map.put(key, known ? bind(entry.getValue(), arguments[1], variables) : plain(entry.getValue()));
        }
        return map;
    }

    private static Object collection(Object value, Class<?> type, Type[] arguments, Map<TypeVariable<?>, Type> variables) {
        if ("".equals(value)) return null;
        Class<?> standard = SortedSet.class.isAssignableFrom(type) ? TreeSet.class : Set.class.isAssignableFrom(type) ? LinkedHashSet.class
                : Queue.class.isAssignableFrom(type) ? ArrayDeque.class : ArrayList.class;
        @SuppressWarnings("unchecked")
        Collection<Object> items = (Collection<Object>) container(type, standard);
        for (Object item : list(value)) items.add(arguments.length == 1 ? bind(item, arguments[0], variables) : plain(item));
        return items;
    }

    private static List<?> list(Object value) {
        return value instanceof List ? (List<?>) value : Collections.singletonList(value);
    }

    private static Object array(Object value, Type component, Class<?> raw, Map<TypeVariable<?>, Type> variables) {
        if (value == null) return null;
        if (raw == byte.class && value instanceof String) return Base64.getDecoder().decode((String) value);
        if (raw == char.class && value instanceof String) return ((String) value).toCharArray();
        List<?> items = list(value);
        Object array = Array.newInstance(raw, items.size());
        for (int i = 0; i < items.size(); i++) Array.set(array, i, bind(items.get(i), component, variables));
        return array;
    }

    private static Object bean(Map<?, ?> members, Class<?> type, Type[] arguments) {
        Beans beans = Beans.of(type);
        TypeVariable<?>[] names = type.getTypeParameters();
        Map<TypeVariable<?>, Type> variables = names.length == 0 ? NONE : new HashMap<TypeVariable<?>, Type>();
        for (int i = 0; i < names.length && i < arguments.length; i++) variables.put(names[i], arguments[i]);
        if (beans.constructor != null && !Modifier.isAbstract(type.getModifiers())) {
            Object bean = Beans.create(beans.constructor);
            for (Map.Entry<?, ?> member : members.entrySet()) {
                Beans.Property property = beans.writable((String) member.getKey());
                if (property == null) continue;
                // AWS's events have their times in seconds.
                boolean seconds = beans.awsEvent && property.writtenType() == Date.class && member.getValue() instanceof Number;
                Object value = seconds ? new BigDecimal(member.getValue().toString()).movePointRight(3).toBigInteger() : member.getValue();
                Beans.write(property, bean, bind(value, property.writtenType(), variables));
            }
            return bean;
        }
        if (beans.whole == null || Modifier.isAbstract(type.getModifiers())) {
            throw new IllegalArgumentException(type.getName().concat(" has no constructor without arguments"));
        }
        Map<String, Object> spelt = new HashMap<String, Object>();
        for (Map.Entry<?, ?> member : members.entrySet()) spelt.put(beans.spelling((String) member.getKey()), member.getValue());
        Type[] types = beans.whole.getGenericParameterTypes();
        Object[] values = new Object[types.length];
        for (int i = 0; i < values.length; i++) values[i] = bind(spelt.get(beans.components.get(i)), types[i], variables);
        return Beans.create(beans.whole, values);
    }

    // ---- scalars ----

    /** A string, number or boolean as `type`; null when it cannot be. */
    private static Object scalar(Object value, Class<?> type) {
        if (type == String.class || type == CharSequence.class) return value.toString();
        if (type == boolean.class || type == Boolean.class) return truth(value);
        if (type == char.class || type == Character.class) return letter(value);
        if (type.isPrimitive() || Number.class.isAssignableFrom(type)) return number(value, type);
        if (type.isEnum()) return constant(value, type);
        if (type == Date.class && value instanceof Number) return new Date(((Number) value).longValue());
        if (type == ByteBuffer.class && value instanceof String) return ByteBuffer.wrap(Base64.getDecoder().decode((String) value));
        if (value instanceof String && ((String) value).isEmpty()) return null;
        if (type == Date.class) return Date.from(java.time.OffsetDateTime.parse(value.toString()).toInstant());
        if (value instanceof Number && type.getName().equals("java.time.Instant")) return instant(new BigDecimal(value.toString()));
        return value instanceof String ? fromText((String) value, type) : null;
    }

    private static Object truth(Object value) {
        if (value instanceof Boolean) return value;
        if (value instanceof Number) return ((Number) value).doubleValue() != 0;
        String text = (String) value;
        return text.isEmpty() || text.equalsIgnoreCase("false") ? Boolean.FALSE : text.equalsIgnoreCase("true") ? Boolean.TRUE : null;
    }

    private static Object letter(Object value) {
        if (value instanceof String) return ((String) value).length() == 1 ? (Object) ((String) value).charAt(0) : null;
        return value instanceof Number ? (Object) (char) ((Number) value).intValue() : null;
    }

    private static Object number(Object value, Class<?> type) {
        if (value instanceof Boolean) return null;
        if (value instanceof String && ((String) value).trim().isEmpty()) return type.isPrimitive() ? number(0, type) : null;
        BigDecimal exact;
        try {
            if (type == double.class || type == Double.class) return Double.valueOf(value.toString());
            if (type == float.class || type == Float.class) return Float.valueOf(value.toString());
            exact = new BigDecimal(value.toString().trim());
        } catch (NumberFormatException e) {
            return null;
        }
        if (type == BigDecimal.class) return exact;
        if (type == Number.class) return plain(value instanceof String ? (Object) exact : value);
        // Far exponents would make an integer of that many digits.
        if (exact.scale() < -400) throw new IllegalArgumentException("the number is out of range: ".concat(value.toString()));
        BigInteger whole = exact.toBigInteger();
        if (type == BigInteger.class) return whole;
        int bits = type == long.class || type == Long.class ? 63 : type == short.class || type == Short.class ? 15
                : type == byte.class || type == Byte.class ? 7 : 31;
        if (whole.bitLength() > bits) {
            throw new IllegalArgumentException(new StringBuilder("the number ").append(value).append(" is out of range of ").append(type.getName()).toString());
        }
        if (bits == 63) return whole.longValue();
        if (bits == 15) return whole.shortValue();
        if (bits == 7) return whole.byteValue();
        if (type == int.class || type == Integer.class) return whole.intValue();
        return type == java.util.concurrent.atomic.AtomicInteger.class ? new java.util.concurrent.atomic.AtomicInteger(whole.intValue()) : null;
    }

    /** By name or position; unknown ones are null, as on AWS. */
    private static Object constant(Object value, Class<?> type) {
        Object[] constants = type.getEnumConstants();
        if (value instanceof Number) {
            int position = ((Number) value).intValue();
            return position >= 0 && position < constants.length ? constants[position] : null;
        }
        for (Object constant : constants) {
            if (((Enum<?>) constant).name().equals(value)) return constant;
        }
        return null;
    }

    private static Object instant(BigDecimal seconds) {
        long whole = seconds.longValue();
        return java.time.Instant.ofEpochSecond(whole, seconds.subtract(BigDecimal.valueOf(whole)).movePointRight(9).longValue());
    }

    /** java.time, UUID, URI, Joda and the like: a public static parse, fromString, create or valueOf, or a constructor, of a string. */
    private static Object fromText(String text, Class<?> type) {
        for (String name : new String[] {"parse", "fromString", "create", "valueOf"}) {
            for (Method method : type.getMethods()) {
                Class<?>[] parameters = method.getParameterTypes();
                boolean fits = method.getName().equals(name) && Modifier.isStatic(method.getModifiers()) && parameters.length == 1
                        && parameters[0].isAssignableFrom(String.class) && type.isAssignableFrom(method.getReturnType());
                if (!fits) continue;
                try {
                    return method.invoke(null, text);
                } catch (InvocationTargetException e) {
                    throw new IllegalArgumentException(new StringBuilder("Cannot make ").append(type.getName()).append(" of \"").append(text).append('"').toString(), e.getCause());
                } catch (IllegalAccessException e) {
                    return null;
                }
            }
        }
        try {
            return Modifier.isAbstract(type.getModifiers()) ? null : Beans.create(type.getConstructor(String.class), text);
        } catch (NoSuchMethodException e) {
            return null;
        }
    }

    // ---- writing ----

    static String write(Object value) {
        StringBuilder out = new StringBuilder(256);
        write(out, value, 0);
        return out.toString();
    }

    private static void write(StringBuilder out, Object value, int depth) {
        if (depth > Json.MAX_DEPTH) throw new IllegalArgumentException("Infinite recursion, or a result nested too deep");
        if (value == null || value instanceof Boolean) out.append(value);
        else if (value instanceof CharSequence || value instanceof Character) Json.string(out, value.toString());
        else if (value instanceof Number) Json.number(out, (Number) value);
        else if (value instanceof Map) writeMap(out, (Map<?, ?>) value, depth);
        else if (value instanceof Iterable && !(value instanceof java.nio.file.Path)) writeItems(out, (Iterable<?>) value, depth);
        else if (value.getClass().isArray()) writeArray(out, value, depth);
        else if (value instanceof Optional) write(out, ((Optional<?>) value).orElse(null), depth + 1);
        else if (value instanceof Enum) Json.string(out, ((Enum<?>) value).name());
        else if (value instanceof Date) out.append(((Date) value).getTime());
        else if (value instanceof ByteBuffer) Json.string(out, Base64.getEncoder().encodeToString(bytes((ByteBuffer) value)));
        else if (isText(value.getClass())) Json.string(out, value.toString());
        else writeBean(out, value, depth);
    }

    private static byte[] bytes(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes;
    }

    /** Classes of the platform, and Joda's, that their text stands for: java.time, UUID, URI, Class, ... */
    private static boolean isText(Class<?> type) {
        String name = type.getName();
        return name.startsWith("java.") || name.startsWith("sun.") || name.startsWith("org.joda.time.");
    }

    private static void writeMap(StringBuilder out, Map<?, ?> map, int depth) {
        out.append('{');
        String comma = "";
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            out.append(comma);
            Object key = entry.getKey();
            Json.string(out, key instanceof Enum ? ((Enum<?>) key).name() : String.valueOf(key));
            out.append(':');
            write(out, entry.getValue(), depth + 1);
            comma = ",";
        }
        out.append('}');
    }

    private static void writeItems(StringBuilder out, Iterable<?> items, int depth) {
        out.append('[');
        String comma = "";
        for (Object item : items) {
            out.append(comma);
            write(out, item, depth + 1);
            comma = ",";
        }
        out.append(']');
    }

    private static void writeArray(StringBuilder out, Object array, int depth) {
        if (array instanceof byte[]) {
            Json.string(out, Base64.getEncoder().encodeToString((byte[]) array));
        } else if (array instanceof char[]) {
            Json.string(out, new String((char[]) array));
        } else {
            List<Object> items = new ArrayList<Object>();
            for (int i = 0; i < Array.getLength(array); i++) items.add(Array.get(array, i));
            writeItems(out, items, depth);
        }
    }

    private static void writeBean(StringBuilder out, Object bean, int depth) {
        out.append('{');
        String comma = "";
        for (Beans.Property property : Beans.of(bean.getClass()).readable) {
            Object value = Beans.read(property, bean);
            if (value == null) continue;
            out.append(comma);
            Json.string(out, property.name);
            out.append(':');
            write(out, value, depth + 1);
            comma = ",";
        }
        out.append('}');
    }
}
