// SPDX-License-Identifier: Apache-2.0
/**
 * A node that was started before it was known for which function (../../README.md, "Blanks").
 *
 * `wait()` warms up what a start of ours goes through, says that it is ready, and returns when this process has become a
 * function's. The waiting is a blocking read: nothing else is to happen meanwhile. Everything loaded early is a part of
 * node, or of this runtime: `require` and `import` show the user's code nothing that was not there anyway.
 */

'use strict';

const fs = require('node:fs');
const Module = require('node:module');
const net = require('node:net');

const MAGIC = 0x534c424b;
const HEADER_SIZE = 16;
const MAX_BLOCK = 1 << 20;

function fail(text) {
    fs.writeSync(2, `[ERROR] ${text}\n`);
    process.exit(1);
}

function exactly(size) {
    const bytes = Buffer.allocUnsafeSlow(size);
    for (let have = 0; have < size; ) {
        const got = fs.readSync(0, bytes, have, size - have, null);
        if (got === 0) {
            if (have === 0) {
                process.exit(0); // not needed any more
            }
            fail('a block ended early');
        }
        have += got;
    }
    return bytes;
}

/** The variables of the block on standard input, as text NAME=value. */
function readBlock() {
    const [magic, argc, envc, size] = new Uint32Array(exactly(HEADER_SIZE).buffer);
    if (magic !== MAGIC || size === 0 || size > MAX_BLOCK) {
        fail('what arrived is no block');
    }
    const texts = exactly(size).toString('utf8').split('\0');
    if (texts.length !== 1 + argc + envc + 1) {
        fail('what arrived is no block');
    }
    return texts.slice(1 + argc, -1);
}

/** Brings up what the first use of would cost: both loaders, a connection and its parser of numbers and texts. */
async function warmUp() {
    require('./stream.cjs');
    await import('./warm.mjs');
    await new Promise((resolve) => {
        const server = net.createServer((socket) => socket.end('x'));
        const finish = () => server.close(resolve);
        server.on('error', resolve);
        server.listen(0, '127.0.0.1', () => {
            const client = net.connect({
                port: server.address().port,
                host: '127.0.0.1',
                noDelay: true,
                onread: { buffer: Buffer.allocUnsafe(16), callback: () => true },
            });
            client.on('error', finish).on('end', finish);
        });
    });
}

function become(variables) {
    fs.closeSync(0);
    fs.openSync('/dev/null', 'r'); // takes the lowest number, which is 0 again
    // What stays as it is is left alone: a change of TZ, even a passing one, makes node search all time zones for the
    // machine's, which takes 20 ms.
    const wanted = new Map(
        variables.map((variable) => {
            const equals = variable.indexOf('=', 1);
            return [variable.slice(0, equals), variable.slice(equals + 1)];
        }),
    );
    for (const name of Object.keys(process.env)) {
        if (!wanted.has(name)) {
            delete process.env[name];
        }
    }
    for (const [name, value] of wanted) {
        if (process.env[name] !== value) {
            process.env[name] = value;
        }
    }
    Module._initPaths(); // NODE_PATH, as node reads it at its start
    try {
        process.chdir(process.env.LAMBDA_TASK_ROOT ?? '/var/task');
    } catch {
        // then loading the handler says what is wrong
    }
}

async function wait() {
    await warmUp();
    try {
        fs.writeSync(0, 'R');
    } catch {
        // nobody is told, and that is all
    }
    become(readBlock());
}

module.exports = { wait };
