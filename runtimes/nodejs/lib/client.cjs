// SPDX-License-Identifier: Apache-2.0
/**
 * The Runtime API client: one TCP connection, requests written whole, responses parsed in order.
 *
 * The response to an event and the request for the next one leave in one write; the server may hold the 202 back until
 * the next event is there, so nothing waits for it: `owed` counts the answers to posts that are still to be read. An
 * event that arrives in one read is parsed in place, without a copy. While an event is handled the socket does not keep
 * the event loop alive, which is what makes `beforeExit` tell us that the user's work is over.
 *
 * Sluice's server may answer `next` with frames instead (lane.cjs); then the connection stays a lane until either side
 * closes it, and everything goes on over HTTP.
 */

'use strict';

const fs = require('node:fs');
const net = require('node:net');
const { Lane } = require('./lane.cjs');

// The Runtime API's address in a sandbox, and the Unix socket that leads to the same place at a third of the cost. Any other
// address is somebody's proxy, and must be used.
const SANDBOX_API = '127.0.0.1:9001';
const SANDBOX_SOCKET = '/run/sluice/runtime.sock';
const PREFIX = '/2018-06-01/runtime/';
const READ_SIZE = 65536;
const MAX_HEAD = 1 << 20;
const EXIT_WAIT_MS = 2000; // how long a post that ends the process waits for its answer

/** A header value that no error name of the user's can break out of. */
function headerText(text) {
    return String(text).replace(/[^\x20-\x7e]/g, '?');
}

/** The fields of a response's head, found when asked for: making a table of them would cost more than the few that are read. */
class Head {
    constructor(text) {
        this.text = text;
        this.lower = text.toLowerCase();
    }

    /** The value of the field with this name (in lower case), or undefined. */
    get(name) {
        const at = this.lower.indexOf(`\r\n${name}:`);
        if (at < 0) {
            return undefined;
        }
        const start = at + name.length + 3;
        const end = this.text.indexOf('\r\n', start);
        return this.text.slice(start, end < 0 ? undefined : end).trim();
    }
}

/** Parses one response at the start of `data`; returns how many bytes are needed at least if it is not whole. */
function parse(data, response) {
    const end = data.indexOf('\r\n\r\n');
    if (end < 0) {
        if (data.length > MAX_HEAD) {
            throw new Error('endless header');
        }
        return data.length + 1;
    }
    const head = (response.head = new Head(data.toString('utf8', 0, end)));
    response.status = parseInt(head.text.slice(9, 12), 10);
    if (head.get('transfer-encoding') !== undefined) {
        return parseChunks(data, end + 4, response);
    }
    const length = parseInt(head.get('content-length') ?? '0', 10);
    response.size = end + 4 + length;
    response.body = data.length < response.size ? '' : data.toString('utf8', end + 4, response.size);
    return response.size;
}

function parseChunks(data, at, response) {
    const parts = [];
    for (;;) {
        const eol = data.indexOf('\r\n', at);
        if (eol < 0) {
            return data.length + 1;
        }
        const size = parseInt(data.latin1Slice(at, eol), 16);
        at = eol + 2;
        if (size === 0) {
            break;
        }
        if (data.length < at + size + 2) {
            return at + size + 2;
        }
        parts.push(data.subarray(at, at + size));
        at += size + 2;
    }
    for (;;) {
        const eol = data.indexOf('\r\n', at); // trailers, up to an empty line; an event's carry nothing
        if (eol < 0) {
            return data.length + 1;
        }
        const empty = eol === at;
        at = eol + 2;
        if (empty) {
            break;
        }
    }
    response.size = at;
    response.body = Buffer.concat(parts).toString('utf8');
    return at;
}

class Api {
    /** `onEvent(head, body)` is called for every event, body as text; set it before the first `next()`. */
    constructor(address) {
        const colon = address.lastIndexOf(':');
        this.target = { host: address.slice(0, colon), port: parseInt(address.slice(colon + 1), 10), noDelay: true };
        if (address === SANDBOX_API && fs.existsSync(SANDBOX_SOCKET)) {
            this.target = { path: SANDBOX_SOCKET };
        }
        this.tail = `\r\nHost: ${address}\r\nUser-Agent: sluice-nodejs/1\r\n`;
        this.nextRequest = `GET ${PREFIX}invocation/next HTTP/1.1${this.tail}\r\n`;
        this.laneRequest = `GET ${PREFIX}invocation/next HTTP/1.1${this.tail}Sluice-Lane: 1\r\n\r\n`;
        this.lanes = this.target.path !== undefined; // whether they are offered
        this.lane = null;
        this.socket = null;
        this.owed = 0;
        this.waiting = false; // a `next` is out
        this.retried = false;
        this.onEvent = null;
    }

    /** Asks for the next event. */
    next() {
        this.#wait();
        this.socket.write(this.#ask());
    }

    /** Posts the outcome of an invocation and asks for the next event, in one write. */
    settle(path, body, errorType) {
        if (this.lane?.answer(path, body, errorType)) {
            return;
        }
        const text = this.#post(path, body, errorType) + this.#ask();
        this.#wait();
        this.owed++;
        this.socket.write(text);
    }

    /** Writes a part of a streamed response; `done` is called when it has left. The post's answer is owed at its end. */
    stream(pieces, done) {
        if (this.lane) {
            this.dropLane(); // a stream is HTTP's
            this.#connected();
            this.socket.unref(); // as while any event is handled
        }
        this.#connected();
        const last = pieces.length - 1;
        this.socket.cork();
        pieces.forEach((piece, i) => this.socket.write(piece, i === last ? done : undefined));
        this.socket.uncork();
    }

    streamHead(path, contentType) {
        return (
            `POST ${PREFIX}${path} HTTP/1.1${this.tail}Lambda-Runtime-Function-Response-Mode: streaming\r\n` +
            'Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n' +
            `Transfer-Encoding: chunked\r\nContent-Type: ${headerText(contentType)}\r\n\r\n`
        );
    }

    /** Posts something after which the process ends. Asks for an answer at once, and does not insist on it. */
    postLast(path, body, errorType, done) {
        const socket = net.connect(this.target);
        const timer = setTimeout(done, EXIT_WAIT_MS);
        const finish = () => {
            clearTimeout(timer);
            done();
        };
        socket.once('data', finish).once('error', finish).once('close', finish);
        socket.write(this.#post(path, body, errorType, 'Connection: close\r\n'));
    }

    #ask() {
        return this.lanes ? this.laneRequest : this.nextRequest;
    }

    /** What is to be said next goes over HTTP, on a new connection. */
    dropLane() {
        const { lane } = this;
        this.lane = this.socket = null;
        lane.close();
    }

    /** The second connection of a lane: `ready` when it is there, `lost` when it ends. */
    openBell(ready, lost) {
        const bell = net.connect(this.target);
        bell.unref();
        bell.on('error', () => {}).on('close', lost);
        bell.on('connect', ready);
        bell.write(`GET ${PREFIX}invocation/bell HTTP/1.1${this.tail}\r\n`);
        return bell;
    }

    #post(path, body, errorType, more = '') {
        const type = errorType ? `Lambda-Runtime-Function-Error-Type: ${headerText(errorType)}\r\n` : '';
        return (
            `POST ${PREFIX}${path} HTTP/1.1${this.tail}Content-Type: application/json\r\n${type}${more}` +
            `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
        );
    }

    #connected() {
        if (this.socket !== null) {
            return;
        }
        let parts = []; // what is here of a response that is not whole yet
        let have = 0;
        let need = 0;
        this.owed = 0;
        const socket = (this.socket = net.connect({
            ...this.target,
            onread: {
                buffer: Buffer.allocUnsafe(READ_SIZE),
                callback: (size, buffer) => {
                    let data = buffer.subarray(0, size);
                    if (this.lane !== null && this.socket === socket) {
                        this.lane.received(data);
                        return true;
                    }
                    if (parts.length > 0) {
                        parts.push(Buffer.from(data)); // the buffer is used again for the next read
                        have += size;
                        if (have < need) {
                            return true;
                        }
                        data = Buffer.concat(parts);
                        parts = [];
                    }
                    const rest = this.#feed(data, socket);
                    need = rest.need;
                    have = rest.data.length;
                    parts = have > 0 ? [Buffer.from(rest.data)] : [];
                    return true;
                },
            },
        }));
        socket.on('error', (error) => {
            this.lastError = error;
        });
        socket.on('close', () => this.#closed(socket));
    }

    /** Takes the whole responses off `data`; returns what is left and how much is needed to go on. */
    #feed(data, socket) {
        while (data.length > 0) {
            if (data[0] === Lane.EVENT && this.owed === 0) {
                this.lane ??= new Lane(this, socket);
                this.waiting = this.retried = false;
                this.lane.received(data);
                break;
            }
            const response = { status: 0, head: null, body: '', size: 0 };
            const need = parse(data, response);
            if (data.length < need) {
                return { data, need };
            }
            data = data.subarray(need);
            if (response.status >= 200) {
                this.#received(response, socket);
            }
            if (this.socket !== socket) {
                break;
            }
        }
        return { data: Buffer.alloc(0), need: 0 };
    }

    #received(response, socket) {
        if (this.owed > 0) {
            this.owed--;
            if (response.status !== 202) {
                process.stderr.write(`[ERROR] Runtime API answered ${response.status}: ${response.body.trim()}\n`);
            }
            if (response.status >= 500) {
                process.exit(1);
            }
            if (response.head.get('connection')?.toLowerCase() === 'close') {
                socket.destroy();
            }
            return;
        }
        if (response.status !== 200) {
            this.#giveUp(`the Runtime API answered ${response.status} to next: ${response.body.trim()}`);
        }
        this.waiting = this.retried = false;
        socket.unref();
        this.onEvent(response.head, response.body);
    }

    #wait() {
        this.#connected();
        this.waiting = true;
        this.socket.ref();
    }

    /** A server may close between requests, and does after refusing a body: one new connection per event is tried. */
    #closed(socket) {
        if (this.socket !== socket || this.lane?.closed()) {
            return;
        }
        this.socket = this.lane = null;
        if (!this.waiting) {
            return;
        }
        if (this.retried) {
            this.#giveUp(this.lastError ? this.lastError.message : 'the Runtime API closed the connection');
        }
        this.retried = true;
        this.next();
    }

    #giveUp(text) {
        process.stderr.write(`[ERROR] Runtime.LambdaRuntimeClientError: ${text}\n`);
        process.exit(1);
    }
}

module.exports = { headerText, Api };
