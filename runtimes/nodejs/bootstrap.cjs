// SPDX-License-Identifier: Apache-2.0
/**
 * Entry point of Sluice's Node.js runtime: `node /var/runtime/nodejs/bootstrap.cjs`, working directory /var/task.
 * (bootstrap.mjs leads here too; starting from an ES module costs about 8 ms more.)
 *
 * Order matters: a blank (lib/blank.cjs) becomes a function's first of all; the console is patched before user code can log, the last-resort listeners are there before it can
 * throw, and only then is the handler loaded. One invocation at a time; see lib/runtime.cjs for its course and
 * lib/client.cjs for the wire. Behaviour follows AWS's interface client 3.x for Node.js (messages, types, log lines,
 * exit codes).
 */

'use strict';

const Module = require('node:module');
const { Api } = require('./lib/client.cjs');
const { UnhandledPromiseRejection } = require('./lib/errors.cjs');
const { logError, patchConsole } = require('./lib/logs.cjs');
const { load } = require('./lib/loader.cjs');
const { Runtime } = require('./lib/runtime.cjs');

const EXIT_UNHANDLED_REJECTION = 128;
const EXIT_UNCAUGHT_EXCEPTION = 129;

function setModulePath() {
    if (process.env.NODE_PATH === undefined) {
        const major = process.versions.node.split('.')[0];
        process.env.NODE_PATH = [
            `/opt/nodejs/node${major}/node_modules`,
            '/opt/nodejs/node_modules',
            '/var/runtime/node_modules',
            '/var/runtime',
            '/var/task',
        ].join(':');
        Module._initPaths(); // what node did at its start, when the variable was not there yet
    }
}

async function main() {
    if (process.env.SLUICE_BLANK !== undefined) {
        await require('./lib/blank.cjs').wait();
    }
    patchConsole();
    setModulePath();
    const api = new Api(process.env.AWS_LAMBDA_RUNTIME_API);
    const runtime = new Runtime(api);
    process.on('uncaughtException', (error) => {
        logError('Uncaught Exception', error);
        runtime.abort(error, EXIT_UNCAUGHT_EXCEPTION);
    });
    process.on('unhandledRejection', (reason, promise) => {
        const error = new UnhandledPromiseRejection(reason, promise);
        logError('Unhandled Promise Rejection', error);
        runtime.abort(error, EXIT_UNHANDLED_REJECTION);
    });
    const root = process.env.LAMBDA_TASK_ROOT ?? '/var/task';
    const name = process.argv[2] ?? process.env._HANDLER ?? '';
    let handler;
    try {
        handler = await load(root, name);
    } catch (error) {
        logError('Uncaught Exception', error);
        runtime.abort(error, EXIT_UNCAUGHT_EXCEPTION);
        return;
    }
    runtime.serve(handler);
}

main();
