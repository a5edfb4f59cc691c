// Makes schedules.json: expressions and the times that robfig/cron v3.0.1 gives them.
//
//	mkdir /tmp/x && cp make_schedules.go /tmp/x/main.go && cd /tmp/x && go mod init x &&
//	go get github.com/robfig/cron/v3@v3.0.1 && go run . > schedules.json
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

var names = map[int][]string{
	4: {"", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"},
	5: {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"},
}

func term(r *rand.Rand, field, least, most int) string {
	a, b := least+r.Intn(most-least+1), least+r.Intn(most-least+1)
	if a > b {
		a, b = b, a
	}
	text := fmt.Sprint(a)
	if list := names[field]; list != nil && r.Intn(3) == 0 {
		text = list[a]
	}
	switch r.Intn(6) {
	case 0:
		return fmt.Sprintf("%d-%d", a, b)
	case 1:
		return fmt.Sprintf("*/%d", 1+r.Intn(most))
	case 2:
		return fmt.Sprintf("%d/%d", a, 1+r.Intn(most))
	case 3:
		return fmt.Sprintf("%d-%d/%d", a, b, 1+r.Intn(5))
	}
	return text
}

func field(r *rand.Rand, place, least, most int) string {
	if r.Intn(3) == 0 && place > 1 {
		if place != 4 && place != 2 && r.Intn(2) == 0 {
			return "?"
		}
		return "*"
	}
	terms := []string{term(r, place, least, most)}
	for r.Intn(3) == 0 && len(terms) < 4 {
		terms = append(terms, term(r, place, least, most))
	}
	return strings.Join(terms, ",")
}

func main() {
	r := rand.New(rand.NewSource(20261127))
	parser := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	zones := []string{"", "", "", "CRON_TZ=Asia/Shanghai ", "CRON_TZ=America/New_York ", "TZ=Europe/Berlin "}
	limits := [][2]int{{0, 59}, {0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 6}}
	var rows [][]any
	for len(rows) < 1500 {
		var words []string
		for place, limit := range limits {
			words = append(words, field(r, place, limit[0], limit[1]))
		}
		text := zones[r.Intn(len(zones))] + strings.Join(words, " ")
		schedule, err := parser.Parse(text)
		if err != nil {
			panic(err)
		}
		at := time.Date(2026, time.Month(1+r.Intn(12)), 1+r.Intn(28), r.Intn(24), r.Intn(60), 0, 0, time.UTC)
		row := []any{text, at.Unix()}
		for i := 0; i < 4; i++ {
			at = schedule.Next(at)
			if at.IsZero() {
				break
			}
			row = append(row, at.Unix())
		}
		rows = append(rows, row)
	}
	fmt.Println("[")
	for i, row := range rows {
		text, _ := json.Marshal(row)
		end := ","
		if i == len(rows)-1 {
			end = ""
		}
		fmt.Fprintln(os.Stdout, string(text)+end)
	}
	fmt.Println("]")
}
