# Logs in to the REST API v2 and starts a task, in the plain form in which such programs are printed.
import json
import sys

import requests

host, username, password, task_id = sys.argv[1:5]


def login():
    url = host + "/ma/api/v2/user/login"
    data = {"@type": "login", "username": username, "password": password}
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    r = requests.post(url, data=json.dumps(data), headers=headers)
    r.raise_for_status()
    return r.json()["serverUrl"], r.json()["icSessionId"]


def start_job(server_url, session_id):
    url = server_url + "/api/v2/job"
    data = {"@type": "job", "taskId": task_id, "taskType": "MTT"}
    headers = {"Content-Type": "application/json", "Accept": "application/xml", "icSessionId": session_id}
    return requests.post(url, data=json.dumps(data), headers=headers)


server_url, session_id = login()
print("serverUrl", server_url)
response = start_job(server_url, session_id)
print(response.status_code, response.text)
print("session", session_id)
