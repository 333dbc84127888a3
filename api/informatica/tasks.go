package informatica

import (
	"context"
	"strings"

	"waybill/internal/job"
)

type taskQuery struct {
	Type string `query:"type" doc:"Only those that present the type"`
}

// taskObject is a job config as a task.
type taskObject struct {
	Type        string `json:"@type"`
	ID          string `json:"id"`
	OrgID       string `json:"orgId"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	CreateTime  string `json:"createTime"`
	UpdateTime  string `json:"updateTime"`
}

func (d *door) taskRoutes() {
	operation(d, use{method: "GET", path: taskBase + "/task", summary: "List tasks", tag: "Tasks"}, d.tasks)
}

// taskPage is how many configs are read at once, and maxTasks how many are listed.
const (
	taskPage = 500
	maxTasks = 10_000
)

func (d *door) tasks(ctx context.Context, c *call, in *taskQuery, _ *none) ([]taskObject, error) {
	as := ""
	if in.Type != "" {
		var err error
		if as, err = typeWord(in.Type); err != nil {
			return nil, err
		}
	}
	tasks := []taskObject{}
	q := job.Query{Size: taskPage, Keyset: true, Brief: true, Sort: []job.Sort{{Property: "name"}}}
	for {
		list, err := d.server.Configs.List(ctx, c.Actor, q)
		if err != nil {
			return nil, err
		}
		for _, config := range list.Items {
			presents := strings.ToUpper(config.Labels.TaskType)
			if presents == "" {
				presents = usualType
			}
			if as == "" || presents == as {
				tasks = append(tasks, taskOf(config))
			}
		}
		if !list.More || len(tasks) >= maxTasks {
			return tasks, nil
		}
		q.After = list.Next
	}
}

func taskOf(c job.Config) taskObject {
	return taskObject{
		Type: "task", ID: c.ObjectID, OrgID: decimal(c.AccountID), Name: c.Name, Description: c.Description, CreateTime: utc(c.CreatedAt),
		UpdateTime: utc(c.ModifiedAt),
	}
}
