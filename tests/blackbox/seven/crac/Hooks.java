// SPDX-License-Identifier: Apache-2.0
//
// A function with SnapStart's hooks, two resources of org.crac: answers which of them ran, in their order.
package seven;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.crac.Context;
import org.crac.Core;
import org.crac.Resource;

public final class Hooks {
    private static final List<String> steps = new ArrayList<String>();
    private static final List<Resource> kept = new ArrayList<Resource>(); // the registry holds them weakly

    private static final class Step implements Resource {
        private final String name;

        Step(String name) {
            this.name = name;
            kept.add(this);
            Core.getGlobalContext().register(this);
        }

        @Override
        public void beforeCheckpoint(Context<? extends Resource> context) {
            run("before ".concat(name));
        }

        @Override
        public void afterRestore(Context<? extends Resource> context) {
            run("after ".concat(name));
        }
    }

    static {
        steps.add("init");
        new Step("1");
        new Step("2");
    }

    private static void run(String step) {
        steps.add(step);
        System.out.println("hook ".concat(step));
        if (step.equals(System.getenv("FAILS"))) throw new IllegalStateException(step.concat(" fails"));
    }

    public List<String> handle(Map<String, Object> event) {
        return steps;
    }
}
