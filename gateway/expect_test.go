package gateway

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
)

// botocore sends Expect: 100-continue with empty bodies too, and reads the
// answer to the next request wrongly when no 100 comes.
func TestEmptyBodyThatExpectsContinueIsToldSo(t *testing.T) {
	r := newRig(t)
	conn, err := net.Dial("tcp", r.srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "PUT /private/k HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("got %q, %v", line, err)
	}
}
