// SPDX-License-Identifier: Apache-2.0
//
// Beans: which properties a class has, found out once per class. To read: public getters, isX for booleans, public fields,
// and a record's components, in the order of the class's fields. To write: public setters and fields; for a record its
// canonical constructor; for a class without a constructor of no arguments (and AWS's events without setters), one whose
// parameters are its fields in order, where a string may stand for any other type.
//
// Names are matched exactly, as AWS does; for the classes of aws-lambda-java-events also without regard to case and hyphens,
// because their JSON says Records, eventSourceARN and detail-type where Java says records, eventSourceArn and detailType. AWS
// has tables for these.
package sluice.runtime;

import java.lang.reflect.AccessibleObject;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Member;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

final class Beans {
    private static final Map<Class<?>, Beans> KNOWN = new HashMap<Class<?>, Beans>();

    /** One property; what is not there is null. */
    static final class Property {
        final String name;
        Method getter;
        Field field; // public
        Method setter;

        Property(String name) {
            this.name = name;
        }

        Type writtenType() {
            return setter != null ? setter.getGenericParameterTypes()[0] : field.getGenericType();
        }
    }

    final Class<?> type;
    final Constructor<?> constructor; // of no arguments, or null
    final Constructor<?> whole;       // takes all of `components`, or null
    final List<String> components = new ArrayList<String>();
    final List<Property> readable = new ArrayList<Property>();
    private final Map<String, Property> writable = new HashMap<String, Property>();
    final boolean awsEvent;
    private final Map<String, String> spellings = new TreeMap<String, String>(String.CASE_INSENSITIVE_ORDER);

    static synchronized Beans of(Class<?> type) {
        Beans beans = KNOWN.get(type);
        if (beans == null) KNOWN.put(type, beans = new Beans(type));
        return beans;
    }

    private Beans(Class<?> type) {
        this.type = type;
        boolean record = type.getSuperclass() != null && type.getSuperclass().getName().equals("java.lang.Record");
        Constructor<?> empty = record ? null : find(new Class<?>[0]);
        Map<String, Property> all = new LinkedHashMap<String, Property>();
        List<Class<?>> types = fields(all);
        if (record) recordGetters(all);
        else methods(all);
        for (Property property : all.values()) {
            if (property.getter != null || property.field != null) readable.add(property);
            boolean settable = property.setter != null || (property.field != null && !Modifier.isFinal(property.field.getModifiers()));
            if (settable) writable.put(property.name, property);
        }
        awsEvent = type.getName().startsWith("com.amazonaws.services.lambda.runtime.events.");
        whole = empty == null || (awsEvent && writable.isEmpty() && !types.isEmpty()) ? findWhole(types) : null;
        constructor = whole == null ? empty : null;
        for (String name : components) spellings.put(name, name);
        for (String name : writable.keySet()) spellings.put(name, name);
    }

    /** The name this class has for a JSON member. */
    String spelling(String member) {
        String known = awsEvent ? spellings.get(member.replace("-", "")) : null;
        return known == null ? member : known;
    }

    Property writable(String member) {
        return writable.get(spelling(member));
    }

    private Constructor<?> find(Class<?>[] types) {
        try {
            Constructor<?> found = type.getDeclaredConstructor(types);
            return open(found) ? found : null;
        } catch (NoSuchMethodException e) {
            return null;
        }
    }

    private Constructor<?> findWhole(List<Class<?>> types) {
        Constructor<?> exact = find(types.toArray(new Class<?>[0]));
        if (exact != null) return exact;
        for (Constructor<?> one : type.getConstructors()) {
            Class<?>[] parameters = one.getParameterTypes();
            boolean fits = parameters.length == types.size();
            for (int i = 0; fits && i < parameters.length; i++) fits = parameters[i] == types.get(i) || parameters[i] == String.class;
            if (fits && parameters.length > 0 && open(one)) return one;
        }
        return null;
    }

    /** True when we may use it: public all the way, or opened by force (which modules can forbid). */
    private static boolean open(AccessibleObject object) {
        Member member = (Member) object;
        if (Modifier.isPublic(member.getModifiers()) && Modifier.isPublic(member.getDeclaringClass().getModifiers())) return true;
        try {
            object.setAccessible(true);
            return true;
        } catch (RuntimeException e) {
            return false;
        }
    }

    /** Superclasses first. Every field gives its property its place; only public ones are used as fields. */
    private List<Class<?>> fields(Map<String, Property> all) {
        List<Class<?>> chain = new ArrayList<Class<?>>();
        for (Class<?> c = type; c != null && c != Object.class; c = c.getSuperclass()) chain.add(0, c);
        List<Class<?>> types = new ArrayList<Class<?>>();
        for (Class<?> c : chain) {
            for (Field field : c.getDeclaredFields()) {
                int modifiers = field.getModifiers();
                if (Modifier.isStatic(modifiers) || field.isSynthetic()) continue;
                components.add(field.getName());
                types.add(field.getType());
                Property property = new Property(field.getName());
                if (Modifier.isPublic(modifiers) && !Modifier.isTransient(modifiers) && open(field)) property.field = field;
                all.put(property.name, property);
            }
        }
        return types;
    }

    private void recordGetters(Map<String, Property> all) {
        for (Property property : all.values()) {
            try {
                Method getter = type.getMethod(property.name);
                if (open(getter)) property.getter = getter;
            } catch (NoSuchMethodException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    private void methods(Map<String, Property> all) {
        Map<String, Property> late = new TreeMap<String, Property>(); // reflection has no order, so: by name
        for (Method method : type.getMethods()) {
            int modifiers = method.getModifiers();
            if (Modifier.isStatic(modifiers) || method.isBridge() || method.isSynthetic() || method.getDeclaringClass() == Object.class) continue;
            String name = method.getName();
            int parameters = method.getParameterTypes().length;
            Class<?> result = method.getReturnType();
            boolean bool = result == boolean.class || result == Boolean.class;
            if (parameters == 0 && result != void.class && name.length() > 3 && name.startsWith("get")) {
                if (open(method)) property(all, late, name.substring(3)).getter = method;
            } else if (parameters == 0 && bool && name.length() > 2 && name.startsWith("is")) {
                Property property = property(all, late, name.substring(2));
                if (property.getter == null && open(method)) property.getter = method;
            } else if (parameters == 1 && name.length() > 3 && name.startsWith("set")) {
                Property property = property(all, late, name.substring(3));
                if (open(method) && better(method, property)) property.setter = method;
            }
        }
        all.putAll(late);
    }

    /** Of several setters, the one that takes what the getter gives. */
    private static boolean better(Method setter, Property property) {
        if (property.setter == null) return true;
        return property.getter != null && setter.getParameterTypes()[0] == property.getter.getReturnType();
    }

    private static Property property(Map<String, Property> all, Map<String, Property> late, String capitalized) {
        String name = Mapper.decapitalize(capitalized);
        Property property = all.get(name);
        if (property == null) property = late.get(name);
        if (property == null) late.put(name, property = new Property(name));
        return property;
    }

    static Object read(Property property, Object bean) {
        try {
            return property.getter != null ? property.getter.invoke(bean) : property.field.get(bean);
        } catch (InvocationTargetException e) {
            throw thrown(e);
        } catch (IllegalAccessException e) {
            throw new IllegalStateException(e);
        }
    }

    static void write(Property property, Object bean, Object value) {
        try {
            if (property.setter != null) property.setter.invoke(bean, value);
            else property.field.set(bean, value);
        } catch (InvocationTargetException e) {
            throw thrown(e);
        } catch (IllegalAccessException e) {
            throw new IllegalStateException(e);
        }
    }

    static Object create(Constructor<?> constructor, Object... arguments) {
        try {
            return constructor.newInstance(arguments);
        } catch (InvocationTargetException e) {
            throw thrown(e);
        } catch (ReflectiveOperationException e) {
            throw new IllegalArgumentException("Cannot make an object of ".concat(constructor.getDeclaringClass().getName()), e);
        }
    }

    private static RuntimeException thrown(InvocationTargetException e) {
        Throwable cause = e.getCause();
        if (cause instanceof Error) throw (Error) cause;
        return cause instanceof RuntimeException ? (RuntimeException) cause : new IllegalArgumentException(cause);
    }
}
