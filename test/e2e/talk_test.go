package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// talker writes a file piece by piece, gives a reply to the order it is given, and ends when it may. In its first attempt it
// gives other things, and fails.
const talker = `#!/bin/sh
. "$WAYBILL_HELPERS/waybill.sh"
if [ "$WAYBILL_ATTEMPT" = 1 ]; then
	waybill_message reply "of the first attempt"
	waybill_message early "of the first attempt"
	waybill_output rows none
	exit 9
fi
printf 12345 >"$LOCAL_JOB_OUT_DIR/rows.csv"
waybill_message reply "You said: $(waybill_in_message order)" type=text
waybill_output_json rows 5
until [ -n "$(waybill_macro GO)" ] || [ "$n" = 1000 ]; do
	n=$((n + 1))
	printf x >>"$LOCAL_JOB_OUT_DIR/rows.csv"
	sleep 0.05
done
`

// TestMessagesOfARunningJob reads what a job gives while it runs, and what is left of it at the end.
func TestMessagesOfARunningJob(t *testing.T) {
	t.Parallel()
	c := sharedProgram(t).admin(t)
	order := strings.Repeat("The order, with \"quotes\" and ü. ", 1000)
	config := c.configure(t, unique("talk"), setup{
		key: "main.sh", content: []byte(talker), entry: "main.sh",
		config:  object{"retryPolicy": object{"maximumAttempts": 2, "initialInterval": "1ms"}},
		runtime: object{"inMessages": []object{{"name": "order", "body": "the config's"}}, "outMessageNames": []string{"reply", "never"}},
	})
	id := c.do(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+config+"/jobs", object{
		"runtimeConfig": object{"inMessages": []object{{"name": "order", "body": order, "properties": []object{{"key": "k", "value": "v"}}}}},
	}).object(t).text("id")
	job := "/api/jobs/" + id

	// While it runs: the reply, the value, and a file that grows.
	eventually(t, time.Minute, func() error {
		j := c.get(t, job)
		if j.text("outputs.rows") != "5" {
			return fmt.Errorf("outputs are %v while the job is %s", j["outputs"], j.text("status"))
		}
		return nil
	})
	if reply := string(c.do(t, http.StatusOK, http.MethodGet, job+"/out/reply/text", nil).body); reply != "You said: "+order {
		t.Errorf("the reply has %d bytes, the order %d: %.100s", len(reply), len(order), reply)
	}
	first := ""
	eventually(t, time.Minute, func() error {
		files := c.get(t, job+"/out/files").items()
		if len(files) != 1 || files[0].text("final") != "false" {
			return fmt.Errorf("files are %v", files)
		}
		size := files[0].text("metadata.size")
		if first == "" {
			first = size
		}
		if size == first {
			return fmt.Errorf("the file has %s bytes and does not grow", size)
		}
		return nil
	})
	c.do(t, http.StatusConflict, http.MethodGet, job+"/out/files/rows.csv", nil)
	c.do(t, http.StatusAccepted, http.MethodDelete, job, nil)

	j := c.finish(t, id, time.Minute)
	expect(t, "warnings", j["warnings"], "[out_message_missing: never]")
	list := c.get(t, job+"/out").items()
	if len(list) != 1 { // "early" was the first attempt's
		t.Fatalf("messages are %v", list)
	}
	expect(t, "the message", list[0].text("name")+" "+fmt.Sprint(list[0]["properties"]), "reply [map[key:type value:text]]")
	files := c.get(t, job+"/out/files").items()
	if len(files) != 1 || files[0].text("final") != "true" || !strings.HasPrefix(c.output(t, id, "rows.csv"), "12345x") {
		t.Errorf("files are %v", files)
	}
}
