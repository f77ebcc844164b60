// SPDX-License-Identifier: Apache-2.0
//
// Made like S3Event and StreamRecord of aws-lambda-java-events: no setters but a constructor in the base class, a text that the
// constructor turns into another type, members with hyphens, times in seconds, capital names.
package com.amazonaws.services.lambda.runtime.events;

import java.time.Instant;
import java.util.Date;
import java.util.List;

public final class StoreEvent {
    private StoreEvent() {
    }

    public static class Event extends Base {
        public Event() {
            super(null);
        }

        public Event(List<Item> items) {
            super(items);
        }
    }

    public static class Base {
        private final List<Item> items;

        public Base(List<Item> items) {
            this.items = items;
        }

        public List<Item> getItems() {
            return items;
        }
    }

    public static class Item {
        private final Instant eventTime;
        private final Detail detail;

        public Item(String eventTime, Detail detail) {
            this.eventTime = Instant.parse(eventTime);
            this.detail = detail;
        }

        public Instant getEventTime() {
            return eventTime;
        }

        public Detail getDetail() {
            return detail;
        }
    }

    public static class Detail {
        private String detailType;
        private Date created;
        private Boolean bOOL;

        public String getDetailType() {
            return detailType;
        }

        public void setDetailType(String detailType) {
            this.detailType = detailType;
        }

        public Date getCreated() {
            return created;
        }

        public void setCreated(Date created) {
            this.created = created;
        }

        public Boolean getBOOL() {
            return bOOL;
        }

        public void setBOOL(Boolean value) {
            bOOL = value;
        }
    }
}
