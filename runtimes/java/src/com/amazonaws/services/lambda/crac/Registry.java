// SPDX-License-Identifier: Apache-2.0
//
// Registry: the resources in the order of their registration, each held weakly as on AWS: what the function has dropped has no
// hooks. Before a snapshot the newest comes first, after a restore the oldest. A hook that fails does not keep the others from
// running. Any thread may register; the hooks run on the runtime's only thread, without the lock, so that they may register too.
package com.amazonaws.services.lambda.crac;

import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;

final class Registry extends Context<Resource> {
    private final List<WeakReference<Resource>> registered = new ArrayList<WeakReference<Resource>>();

    /** A resource that is registered again moves to the end. */
    @Override
    public synchronized void register(Resource resource) {
        for (Iterator<WeakReference<Resource>> all = registered.iterator(); all.hasNext();) {
            Resource one = all.next().get();
            if (one == null || one == resource) all.remove();
        }
        registered.add(new WeakReference<Resource>(resource));
    }

    private synchronized List<Resource> alive() {
        List<Resource> alive = new ArrayList<Resource>(registered.size());
        for (WeakReference<Resource> reference : registered) {
            Resource one = reference.get();
            if (one != null) alive.add(one);
        }
        return alive;
    }

    @Override
    public void beforeCheckpoint(Context<? extends Resource> context) throws CheckpointException {
        CheckpointException failed = null;
        List<Resource> resources = alive();
        Collections.reverse(resources);
        for (Resource resource : resources) {
            try {
                resource.beforeCheckpoint(this);
            } catch (Exception e) {
                if (failed == null) failed = new CheckpointException();
                gather(failed, e, e instanceof CheckpointException);
            }
        }
        if (failed != null) throw failed;
    }

    @Override
    public void afterRestore(Context<? extends Resource> context) throws RestoreException {
        RestoreException failed = null;
        for (Resource resource : alive()) {
            try {
                resource.afterRestore(this);
            } catch (Exception e) {
                if (failed == null) failed = new RestoreException();
                gather(failed, e, e instanceof RestoreException);
            }
        }
        if (failed != null) throw failed;
    }

    /** What org.crac wrapped into an exception of ours is taken out of it. */
    private static void gather(Exception failed, Exception one, boolean wrapper) {
        if (!wrapper) failed.addSuppressed(one);
        else for (Throwable inner : one.getSuppressed()) failed.addSuppressed(inner);
    }
}
