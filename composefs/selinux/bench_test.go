// SPDX-License-Identifier: Apache-2.0

package selinux_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/selinux"
)

// The size of Fedora's policy, and of an image.
const (
	fedoraRules = 6500
	imagePaths  = 100_000
)

var words = strings.Fields(`abrt accountsd acct afs aide alsa amanda anaconda apache apcupsd arpwatch asterisk audit avahi bacula bind bluetooth boinc
	bugzilla cachefilesd ccs certmonger cgroup chrome chrony clamav clogd cloud cobbler collectd colord condor consolekit corosync couchdb courier cron
	ctdb cups cvs cyrus dbus dcc ddclient dhcp dictd dirsrv dmidecode dnsmasq dovecot drbd exim fail2ban fcoe fetchmail firewalld ftp gdm git glance gnome`)

// style is how the entries of Fedora's policy look, and how many of a hundred
// look so. %s is a name.
var style = []struct {
	percent int
	format  string
}{
	{20, "/usr/bin/%s -- system_u:object_r:%s_exec_t:s0"},
	{14, "/usr/sbin/%s\\.d -- system_u:object_r:%s_exec_t:s0"},
	{18, "/var/lib/%s(/.*)? system_u:object_r:%s_var_lib_t:s0"},
	{8, "/var/log/%s.* system_u:object_r:%s_log_t:s0"},
	{8, "/etc/%s(/.*)? system_u:object_r:%s_etc_t:s0"},
	{5, "/usr/lib/systemd/system/%s.* -- system_u:object_r:%s_unit_file_t:s0"},
	{6, "/usr/lib/%s/.*\\.so(\\.[^/]*)* -- system_u:object_r:%s_lib_t:s0"},
	{4, "/usr/(.*/)?lib/%s.* system_u:object_r:%s_lib_t:s0"},
	{4, "/usr/share/%s/(.*/)?cgi-bin(/.*)? system_u:object_r:%s_script_exec_t:s0"},
	{3, "/usr/lib/(.*/)?lib%s\\.so(\\.[^/]*)* -- system_u:object_r:%s_lib_t:s0"},
	{3, "/var/run/%s\\.pid -- system_u:object_r:%s_run_t:s0"},
	{2, "/usr/lib(64)?/%s(-[0-9.]+)?/bin/.* -- system_u:object_r:%s_exec_t:s0"},
	{2, "/home/[^/]+/\\.%s(/.*)? system_u:object_r:%s_home_t:s0"},
	{2, "/dev/%s[0-9]+ -c system_u:object_r:%s_device_t:s0"},
	{1, "/opt/(.*/)?%s/lib(/.*)? system_u:object_r:%s_lib_t:s0"},
}

// fedoraLike makes a policy of the size and the style of Fedora's.
func fedoraLike(rules int) string {
	var b strings.Builder
	b.WriteString("/.* system_u:object_r:default_t:s0\n/ -d system_u:object_r:root_t:s0\n/[^/]+ -- system_u:object_r:etc_runtime_t:s0\n")
	b.WriteString("/usr/.* system_u:object_r:usr_t:s0\n/usr/(.*/)?bin(/.*)? system_u:object_r:bin_t:s0\n/usr/(.*/)?lib(/.*)? system_u:object_r:lib_t:s0\n/usr/share(/.*)? system_u:object_r:usr_t:s0\n")
	r := rand.New(rand.NewPCG(1, 1))
	for i := range rules {
		percent := i % 100
		for _, s := range style {
			if percent -= s.percent; percent < 0 {
				name := fmt.Sprintf("%s-%s%d", words[r.IntN(len(words))], words[r.IntN(len(words))], i/100)
				fmt.Fprintf(&b, s.format+"\n", name, name)
				break
			}
		}
	}
	// Look-around has no filter, and what is last is asked about every path.
	b.WriteString("/usr/lib/(?!debug/)[^/]+/.*\\.mod -- system_u:object_r:modules_t:s0\n/var/(?=lib)[^/]+/(?!private)x.* system_u:object_r:x_t:s0\n")
	return b.String()
}

// imageLike makes the paths of an image: most are deep in /usr.
func imageLike(paths int) [][]byte {
	r := rand.New(rand.NewPCG(2, 2))
	word := func() string { return words[r.IntN(len(words))] }
	all := make([][]byte, paths)
	for i := range all {
		var path string
		switch r.IntN(10) {
		case 0:
			path = "/usr/bin/" + word() + "-" + word()
		case 1, 2, 3:
			path = "/usr/lib/" + word() + "/" + word() + "/lib" + word() + ".so.1"
		case 4, 5, 6, 7:
			path = "/usr/share/doc/" + word() + "/" + word() + "/" + word() + ".html"
		case 8:
			path = "/usr/lib/python3.12/site-packages/" + word() + "/" + word() + ".cpython-312.pyc"
		default:
			path = "/etc/" + word() + "/" + word() + ".conf"
		}
		all[i] = fmt.Appendf(nil, "%s%d", path, i%100)
	}
	return all
}

// BenchmarkLookup finds the labels of an image of 100,000 files with a policy
// of the size of Fedora's, reading of the policy included. It shall take less
// than two seconds on one core.
func BenchmarkLookup(b *testing.B) {
	text := fedoraLike(fedoraRules)
	paths := imageLike(imagePaths)
	b.ReportAllocs()
	for b.Loop() {
		p, err := parse(text)
		if err != nil {
			b.Fatal(err)
		}
		for _, path := range paths {
			if _, ok, err := p.Lookup(path, selinux.Regular); !ok || err != nil {
				b.Fatalf("%s: %t, %v", path, ok, err)
			}
		}
	}
}

// BenchmarkParse reads a policy of the size of Fedora's.
func BenchmarkParse(b *testing.B) {
	text := fedoraLike(fedoraRules)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
