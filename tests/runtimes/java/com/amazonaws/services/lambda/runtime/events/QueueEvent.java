// SPDX-License-Identifier: Apache-2.0
//
// Of the package of aws-lambda-java-events: its classes are matched without regard to case.
package com.amazonaws.services.lambda.runtime.events;

import java.util.List;

public class QueueEvent {
    private List<Record> records;

    public List<Record> getRecords() {
        return records;
    }

    public void setRecords(List<Record> records) {
        this.records = records;
    }

    // As S3EventNotification has them: no constructor without arguments, and the parameters are the fields in order.
    public static class Record {
        private final String eventSourceArn;
        private final Long size;

        public Record(String eventSourceArn, Long size) {
            this.eventSourceArn = eventSourceArn;
            this.size = size;
        }

        public String getEventSourceArn() {
            return eventSourceArn;
        }

        public Long getSize() {
            return size;
        }
    }
}
