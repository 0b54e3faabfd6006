// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8/decor"
)

// meter measures how fast a layer comes. The time until its turn came does not
// count.
type meter struct {
	mu          sync.Mutex
	total       int64     // bytes that will come
	begin       time.Time // when the reading of the image began
	first, last time.Time // when bytes came
	before      int64     // bytes that came first: how long they took is not known
	bytes       int64     // all that came
}

func newMeter(total int64, now time.Time) *meter {
	return &meter{total: total, begin: now, first: now, last: now}
}

func (m *meter) add(n int, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bytes == 0 {
		m.first, m.before = now, int64(n)
	}
	m.bytes += int64(n)
	m.last = now
}

// measure returns the rate in bytes per second and the time left at that rate;
// 0 where nothing can be said.
func (m *meter) measure(now time.Time) (rate int64, left time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	bytes, from, to := m.bytes-m.before, m.first, now
	if m.bytes >= m.total {
		to = m.last
	}
	if bytes == 0 {
		bytes, from = m.bytes, m.begin
	}
	elapsed := to.Sub(from).Seconds()
	if bytes == 0 || elapsed <= 0 {
		return 0, 0
	}
	perSecond := float64(bytes) / elapsed
	return int64(perSecond), time.Duration(float64(m.total-m.bytes) / perSecond * float64(time.Second))
}

func (m *meter) showRate(decor.Statistics) string {
	rate, _ := m.measure(time.Now())
	return fmt.Sprintf("% .1f/s", decor.SizeB1024(rate))
}

func (m *meter) showTimeLeft(decor.Statistics) string {
	rate, left := m.measure(time.Now())
	if rate == 0 {
		return ""
	}
	return left.Round(time.Second).String()
}
