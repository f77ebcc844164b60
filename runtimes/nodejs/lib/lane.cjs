// SPDX-License-Identifier: Apache-2.0
/**
 * The lane: the server's frames instead of HTTP (its side, and the frames: src/runtime/lane.c).
 *
 * Further events may be here while one is in work. The next one may be begun exactly when the answer to the one before was
 * written whole: the server closes its receiving side to take back what is not begun, and a write that fails says so. Then,
 * and when the function printed while others may be behind, the lane is left and the answer goes over HTTP; events that
 * are here and not begun are forgotten, for the server gives them to somebody else.
 */

'use strict';

const { output } = require('./logs.cjs');

const EVENT = 0x45; // 'E'
const HEAD = 16;
const MORE = 1; // flags of an event: others may follow,
const AHEAD = 2; // and it followed itself
const SCRATCH = 65536;
const BELL_US = 500; // the longest that answers are kept from the server while others are worked on
const MAX_BODY = 6291556;
const NOTHING = Buffer.alloc(0);
const JSON_TYPE = 'application/json';
const FIELDS = {
    'lambda-runtime-aws-request-id': 0,
    'lambda-runtime-deadline-ms': 1,
    'lambda-runtime-invoked-function-arn': 2,
    'lambda-runtime-trace-id': 3,
    'lambda-runtime-client-context': 4,
    'lambda-runtime-aws-tenant-id': 5,
};

/** The fields of an event's head, by their names in HTTP. */
class LaneHead {
    constructor(fields) {
        this.fields = fields;
    }

    get(name) {
        return this.fields[FIELDS[name]] || undefined;
    }
}

class Lane {
    static EVENT = EVENT;

    constructor(api, socket) {
        this.api = api;
        this.socket = socket;
        this.rest = NOTHING; // received, not begun
        this.working = false; // an event is in work
        this.more = false; // ... and others may be behind it
        this.scratch = Buffer.allocUnsafeSlow(SCRATCH);
        this.time = [0, 0];
        this.begin = () => this.#begin();
        this.bell = null;
        this.bellReady = false;
        this.ringing = false; // an event of this batch was sent ahead
        this.unrung = 0; // when the first answer was given of which the server does not know
    }

    /** Bytes from the server; the buffer is used again after the call. */
    received(data) {
        if (this.working) {
            this.rest = this.rest.length > 0 ? Buffer.concat([this.rest, data]) : Buffer.from(data);
            return;
        }
        const own = this.rest.length > 0;
        this.rest = own ? Buffer.concat([this.rest, data]) : data;
        this.#begin();
        if (!own && this.rest.length > 0) {
            this.rest = Buffer.from(this.rest);
        }
    }

    #whole() {
        const data = this.rest;
        return data.length >= HEAD && data.length >= HEAD + data.readUInt32LE(4) + data.readUInt32LE(8);
    }

    /** Begins the next event if it is whole. */
    #begin() {
        if (this.working || this.api.lane !== this || !this.#whole()) {
            return;
        }
        const data = this.rest;
        const head = HEAD + data.readUInt32LE(4);
        const end = head + data.readUInt32LE(8);
        const flags = data[1];
        const fields = data.utf8Slice(HEAD, head).split('\n');
        if (flags & AHEAD) {
            fields[1] = Date.now() + data.readUInt32LE(12);
            this.ringing = true;
        }
        const body = data.utf8Slice(head, end);
        this.rest = data.length === end ? NOTHING : data.subarray(end);
        this.working = true;
        this.more = (flags & MORE) !== 0;
        output.printed = false;
        this.socket.unref();
        this.api.onEvent(new LaneHead(fields), body);
    }

    /** Answers the event in work; false: it is to be done over HTTP. */
    answer(_path, body, errorType) {
        const frame = (this.more && output.printed) || this.socket.destroyed ? null : this.#frame(body, errorType);
        if (frame === null) {
            this.api.dropLane();
            return false;
        }
        const { socket } = this;
        socket.write(frame);
        if (socket.errored || socket.destroyed) {
            this.api.dropLane();
            return false;
        }
        if (socket.writableLength > 0) {
            this.#finishLater(_path, body, errorType);
            return true;
        }
        this.#answered();
        return true;
    }

    #answered() {
        this.working = false;
        if (this.#whole()) {
            setImmediate(this.begin);
            if (this.ringing) {
                const now = this.time[0] * 1e6 + this.time[1] / 1000;
                this.unrung ||= now;
                if (now - this.unrung > BELL_US) {
                    this.#ring();
                }
            }
        } else {
            this.api.waiting = true;
            this.socket.ref();
            if (this.ringing) {
                this.ringing = false;
                this.#ring();
            }
        }
    }

    #ring() {
        this.unrung = 0;
        if (this.bell === null) {
            this.bell = this.api.openBell(() => (this.bellReady = true), () => this.socket.destroy());
        } else if (this.bellReady) {
            this.bell.write('!');
        }
    }

    /** The connection has ended. True if an event is to be finished, or begun, all the same: its answer goes over HTTP. */
    closed() {
        if (!this.working) {
            this.#begin();
        }
        return this.working;
    }

    close() {
        this.bell?.destroy();
        this.socket.destroy();
    }

    /** The kernel has not taken all of it: only when it has, the next event may be begun. */
    #finishLater(path, body, errorType) {
        const { api, socket } = this;
        this.scratch = Buffer.allocUnsafeSlow(SCRATCH); // the old one is still being written
        socket.ref();
        const done = () => {
            socket.off('drain', done).off('close', lost);
            this.#answered();
        };
        const lost = () => {
            socket.off('drain', done).off('close', lost);
            api.dropLane();
            api.settle(path, body, errorType);
        };
        socket.prependListener('close', lost);
        socket.on('drain', done);
    }

    #frame(body, errorType) {
        const type = errorType ? String(errorType).replace(/[^\x20-\x7e]/g, '?').slice(0, 1024) : JSON_TYPE;
        const small = HEAD + type.length + 3 * body.length <= SCRATCH;
        const length = small ? 0 : Buffer.byteLength(body);
        if (length > MAX_BODY) {
            return null; // refused over HTTP, as everywhere
        }
        const frame = small ? this.scratch : Buffer.allocUnsafe(HEAD + type.length + length);
        frame.latin1Write(type, HEAD);
        const written = frame.utf8Write(body, HEAD + type.length);
        const now = (this.time = process.hrtime());
        frame.writeUInt32LE(0x41 | (errorType ? 0x100 : 0) | (type.length << 16), 0);
        frame.writeUInt32LE(written, 4);
        frame.writeUInt32LE(now[0], 8);
        frame.writeUInt32LE(now[1], 12);
        return small ? frame.subarray(0, HEAD + type.length + written) : frame;
    }
}

module.exports = { Lane };
